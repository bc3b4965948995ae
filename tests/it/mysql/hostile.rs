//! Servers that lie: every lie meets a bound and a typed error, and nothing of this machine goes out.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use waybill_model::FailureCode;
use waybill_pipeline::Source;
use waybill_tests::services::mariadb::MariaDb;
use waybill_tests::services::mysql_proxy::{Forge, MySqlProxy, message};

use super::{full, read, server, source_at};

/// Serves these packets to every client, one after each thing that it says, and gives the port. What clients said after the
/// greeting is told on the channel.
async fn scripted(script: Vec<Vec<u8>>) -> (u16, tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (heard, hears) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, script.clone(), heard.clone()));
        }
    });
    (port, hears)
}

async fn serve(
    mut client: TcpStream,
    script: Vec<Vec<u8>>,
    heard: tokio::sync::mpsc::UnboundedSender<Vec<u8>>,
) -> std::io::Result<()> {
    let mut said = vec![0; 16 << 10];
    for bytes in script {
        client.write_all(&bytes).await?;
        let count = client.read(&mut said).await?;
        let _ = heard.send(said[..count].to_vec());
    }
    while client.read(&mut said).await? > 0 {}
    Ok(())
}

/// A greeting that asks for a way of logging in.
fn greeting(plugin: &str) -> Vec<u8> {
    let mut body =
        b"\x0a11.4.2-MariaDB\0\x07\0\0\0abcdefgh\0\xff\xf7\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0"
            .to_vec();
    body.extend_from_slice(plugin.as_bytes());
    body.push(0);
    message(0, &body)
}

const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

async fn refused(script: Vec<Vec<u8>>) -> (FailureCode, String, Vec<Vec<u8>>) {
    let (port, mut hears) = scripted(script).await;
    let begun = Instant::now();
    let fault = source_at(port).reach().await.expect_err("refused");
    assert!(begun.elapsed() < Duration::from_secs(60), "it took {:?}", begun.elapsed());
    let mut heard = Vec::new();
    while let Ok(said) = hears.try_recv() {
        heard.push(said);
    }
    (fault.code, fault.text.for_customer().to_owned(), heard)
}

#[tokio::test]
async fn h25_a_server_that_asks_for_a_local_file_gets_nothing_and_is_refused() {
    let server = server();
    server.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
    let proxy = MySqlProxy::start(server.port(), Forge::LocalFile, 0).await;
    let fault = read(&source_at(proxy.port), &full("t"), 1).await.map(drop).expect_err("refused");
    assert!(proxy.fired() > 0, "the server never asked");
    assert_eq!(fault.code, FailureCode::SourceMalformed);
    assert!(fault.text.for_customer().contains("asks for a file of this machine"));
    assert_eq!(proxy.answered(), 0, "something was sent to it");
    // The same at the first statement of a session.
    let script = vec![greeting("mysql_native_password"), message(2, OK), message(1, b"\xfb/etc/passwd")];
    let (code, text, heard) = refused(script).await;
    assert_eq!(code, FailureCode::SourceMalformed);
    assert!(text.contains("a file of this machine") && heard.len() <= 3, "{text}");
    assert!(heard.iter().all(|said| !String::from_utf8_lossy(said).contains("root:")));
}

#[tokio::test]
async fn h25_a_password_is_never_sent_in_the_clear_without_tls() {
    for plugin in ["mysql_clear_password", "sha256_password", "dialog"] {
        let switch = [b"\xfe".as_slice(), plugin.as_bytes(), b"\0abcdefghijklmnopqrst\0"].concat();
        let (code, text, heard) = refused(vec![greeting("mysql_native_password"), message(2, &switch)]).await;
        assert_eq!(code, FailureCode::SourceDenied, "{plugin}: {text}");
        assert!(text.contains("never sent without TLS"), "{text}");
        assert!(heard.iter().all(|said| !said.windows(5).any(|part| part == b"right")), "the password went out");
    }
    // caching_sha2_password wants the password itself after a hash that it does not know.
    let (code, text, heard) = refused(vec![greeting("caching_sha2_password"), message(2, &[1, 4])]).await;
    assert_eq!(code, FailureCode::SourceDenied, "{text}");
    assert!(heard.iter().all(|said| !said.windows(5).any(|part| part == b"right")), "the password went out");
    let (code, text, _) = refused(vec![greeting("mysql_native_password"), message(2, &[0xfe])]).await;
    assert_eq!(code, FailureCode::SourceDenied);
    assert!(text.contains("MySQL 4.0"), "{text}");
}

#[tokio::test]
async fn a_lying_mysql_server_meets_bounds_during_its_log_in() {
    let native = || greeting("mysql_native_password");
    let switch = message(2, b"\xfemysql_native_password\0abcdefghijklmnopqrst\0");
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("another protocol", vec![b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()]),
        ("an empty packet", vec![message(0, b"")]),
        ("an old protocol", vec![message(0, b"\x093.23\0")]),
        ("a short greeting", vec![message(0, &native()[4..40])]),
        ("a packet out of order", vec![native(), message(9, OK)]),
        ("a packet of 16 MiB", vec![native(), vec![0xff, 0xff, 0xff, 2]]),
        ("a short challenge", vec![native(), message(2, b"\xfemysql_native_password\0abc\0")]),
        ("nonsense after the proof", vec![native(), message(2, &[1, 9])]),
        (
            "switches without end",
            vec![
                native(),
                [switch.clone(), message(4, &switch[4..]), message(6, &switch[4..])].concat(),
                message(8, &switch[4..]),
                message(10, &switch[4..]),
            ],
        ),
        ("columns without end", vec![native(), message(2, OK), message(1, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff")]),
        (
            "more results",
            vec![
                native(),
                message(2, OK),
                [message(1, b"\x01"), message(2, b"\x03def"), message(3, &[0xfe, 0, 0, 8, 0])].concat(),
            ],
        ),
    ];
    for (case, script) in cases {
        let (code, text, _) = refused(script).await;
        assert!(
            matches!(
                code,
                FailureCode::SourceMalformed | FailureCode::SourceUnreachable | FailureCode::SourceIncomplete
            ),
            "{case}: {code:?} {text}"
        );
    }
}

#[tokio::test]
async fn a_lying_mysql_server_meets_bounds_among_its_rows() {
    let server: MariaDb = server();
    server.run("CREATE TABLE t (id int PRIMARY KEY, pad text NOT NULL); INSERT INTO t SELECT seq, repeat('x', 100) FROM seq_1_to_2000");
    let cases = [
        ("a row of a gigabyte", Forge::Huge, FailureCode::RowTooLarge),
        ("a packet out of order", Forge::Disorder, FailureCode::SourceMalformed),
        ("a row without its fields", Forge::Row(b"\0\0"), FailureCode::SourceMalformed),
        (
            "a field longer than its row",
            Forge::Row(b"\0\0\x01\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff\x7fx"),
            FailureCode::SourceMalformed,
        ),
        ("bytes behind the last field", Forge::Row(b"\0\0\x01\0\0\0\x01xyz"), FailureCode::SourceMalformed),
        ("a packet that is no row", Forge::Row(b"\x07abc"), FailureCode::SourceMalformed),
        ("an empty packet", Forge::Row(b""), FailureCode::SourceMalformed),
    ];
    for (case, forge, code) in cases {
        let proxy = MySqlProxy::start(server.port(), forge, 50).await;
        let fault = read(&source_at(proxy.port), &full("t"), 1).await.map(drop).expect_err(case);
        assert!(proxy.fired() > 0, "{case}: {:?} {}", fault.code, fault.text.for_customer());
        assert_eq!(fault.code, code, "{case}: {}", fault.text.for_customer());
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let fault = source_at(port).reach().await.expect_err("silent");
    assert_eq!(fault.code, FailureCode::SourceUnreachable);
    assert!(fault.text.for_customer().contains("took too long"), "{}", fault.text.for_customer());
}

#[tokio::test]
async fn a_value_larger_than_its_bound_is_refused_and_a_large_one_within_it_comes_whole() {
    let server = server();
    server.run("CREATE TABLE t (id int PRIMARY KEY, big longtext NOT NULL); INSERT INTO t VALUES (1, repeat('x', 20000000)), (2, 'small')");
    let whole = read(&source_at(server.port()), &full("t"), 1).await.expect("read");
    let lengths: Vec<usize> = (0..2).map(|row| whole.text("big", row).expect("text").len()).collect();
    assert_eq!(lengths, [20_000_000, 5], "it came in two packets");
    server.run("UPDATE t SET big = repeat('x', 40000000) WHERE id = 1");
    let fault = read(&source_at(server.port()), &full("t"), 1).await.map(drop).expect_err("refused");
    assert_eq!(fault.code, FailureCode::RowTooLarge);
}

#[tokio::test]
async fn h20_a_view_that_sleeps_ends_with_its_reader() {
    let server = server();
    server.run(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2);
         CREATE VIEW v AS SELECT id, sleep(100000) AS s FROM t",
    );
    let snapshot = source_at(server.port()).open(&full("v"), None, super::want(1)).await.expect("open");
    let mut lane = snapshot.lane().await.expect("a lane");
    let sleeps = "SELECT count(*) FROM information_schema.PROCESSLIST WHERE USER = 'reader' AND STATE = 'User sleep'";
    tokio::select! {
        read = lane.next() => panic!("it ended: {}", read.is_ok()),
        () = async {
            while server.run(sleeps).trim() != "1" {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        } => {}
    }
    drop((lane, snapshot));
    let begun = Instant::now();
    while server.busy("reader") > 0 {
        assert!(begun.elapsed() < Duration::from_secs(15), "it still sleeps");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
