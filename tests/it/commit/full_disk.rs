//! A real file system without space.

use std::path::Path;

use waybill_model::FailureCode;
use waybill_model::plan::Load;
use waybill_tests::small_disk;

use super::fixture::{Place, code, ids, run, try_run};

const NAME: &str = "commit::full_disk::f39_a_full_file_system_fails_cleanly_and_recovers";

#[tokio::test]
async fn f39_a_full_file_system_fails_cleanly_and_recovers() {
    let Some(dir) = small_disk::inside(NAME, "192k") else { return };
    fill_and_recover(&dir).await;
}

async fn fill_and_recover(dir: &Path) {
    let place = Place::at(dir);
    run(&place.bucket, Load::Full, &ids(0..3)).await.expect("a first run");
    // Less and less space, so that data file, receipt, state and commit each meet the end of it.
    let mut full = 0;
    for free in [0, 4096, 8192, 12_288, 16_384] {
        let filler = small_disk::fill(dir, free);
        match code(try_run(&place.bucket, Load::Full, &ids(10..13)).await) {
            Some(FailureCode::BucketFull) => {
                full += 1;
                assert_eq!(place.ids(), [0, 1, 2], "with {free} bytes free");
            }
            other => assert_eq!(other, None, "with {free} bytes free"), // there was just enough
        }
        std::fs::remove_file(filler).expect("space");
        run(&place.bucket, Load::Full, &ids(0..3)).await.expect("a run with space");
        assert_eq!(place.ids(), [0, 1, 2]);
    }
    assert!(full >= 2, "the disk was full only {full} times");
    let left = place.contents().into_keys().filter(|path| path.to_string_lossy().contains(".waybill-tmp-")).count();
    assert_eq!(left, 0, "temporary files stay behind");
}
