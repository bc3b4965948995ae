//! PostGIS's own types against the real extension: geometries as the bytes that it writes itself, everything else as its text.

use arrow::array::{Array, AsArray};
use waybill_tests::services::postgres::Postgres;

use super::{full, read, source};

const PLACES: &str = "
CREATE SCHEMA kit; CREATE EXTENSION postgis SCHEMA kit; SET search_path = public, kit;
CREATE TABLE places (id int8, g geometry, p geometry(PointZM, 4326), w geography, b box2d, c box3d, l geometry[]);
INSERT INTO places VALUES
  (1, 'SRID=3857;POLYGON((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 2 1, 2 2, 1 2, 1 1))', 'SRID=4326;POINT(1 2 3 4)', 'POINT(-71.06 42.28)',
   'BOX(0 0, 4 4)', 'BOX3D(0 0 1, 4 4 2)', ARRAY['POINT(1 1)'::geometry, NULL]),
  (2, 'POINT EMPTY', 'SRID=4326;POINT(NaN 0 0 0)', 'LINESTRING(0 0, 180 90)', NULL, NULL, '{}'),
  (3, 'GEOMETRYCOLLECTION(POINT(1 2), CIRCULARSTRING(0 0, 1 1, 2 0))', NULL, NULL, NULL, NULL, NULL);
";

/// Each geometry's bytes as the extension itself writes them, in hex.
async fn written_by_the_server(server: &Postgres, column: &str) -> Vec<Option<String>> {
    let query = format!("SELECT encode(kit.ST_AsEWKB({column}::kit.geometry), 'hex') FROM places ORDER BY id");
    let rows = server.client().await.query(&query, &[]).await.expect("the server's own bytes");
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn geometries_arrive_as_the_bytes_that_postgis_writes() {
    let server = Postgres::start();
    server.run(PLACES).await;
    let read = read(&source(&server), &full("places"), 1).await.expect("read");
    for column in ["g", "p", "w"] {
        let values = read.column(column);
        let values = values.as_binary::<i32>();
        let arrived: Vec<_> = values.iter().map(|value| value.map(hex::encode)).collect();
        assert_eq!(arrived, written_by_the_server(&server, column).await, "{column}");
    }
    assert_eq!(read.text("b", 0).as_deref(), Some("BOX(0 0,4 4)"));
    assert_eq!(read.text("c", 0).as_deref(), Some("BOX3D(0 0 1,4 4 2)"));
    assert!(read.coerced.is_empty(), "{:?}", read.coerced);
    assert_eq!(read.column("l").len(), 3, "an array of geometries is not dropped");
}
