//! What a replace may not take away, and what keeps it from taking its own rows away: told, and nothing is changed.

use super::{Copy, numbers};

const NOTES: &str = "SELECT count(*) || ' ' || count(DISTINCT id) FROM t";

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_trigger_or_a_rule_keeps_are_never_there_twice() {
    let copy = Copy::with(&numbers(100), "t: {}");
    copy.delivered();
    copy.server
        .run("CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF old.id > 50 THEN RETURN NULL; END IF; RETURN old; END'")
        .await;
    for (kept, taken) in [
        ("CREATE TRIGGER keep BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION keep()", "DROP TRIGGER keep ON t"),
        ("CREATE RULE keep AS ON DELETE TO t DO INSTEAD NOTHING", "DROP RULE keep ON t"),
        ("CREATE RULE keep AS ON DELETE TO t WHERE old.id > 50 DO INSTEAD NOTHING", "DROP RULE keep ON t"),
    ] {
        copy.server.run(kept).await;
        let text = copy.fails("target_denied");
        assert!(text.contains("a trigger or a rule kept rows"), "{kept}: {text}");
        assert_eq!(copy.one(NOTES).await, "100 100", "{kept}");
        copy.server.run(taken).await;
        copy.delivered();
        assert_eq!(copy.one(NOTES).await, "100 100", "{kept}");
    }
    // The same the other way: what keeps new rows out is after a fix too.
    copy.server.run("CREATE RULE out AS ON INSERT TO t DO INSTEAD NOTHING").await;
    assert!(copy.fails("target_denied").contains("keeps rows out"));
    assert_eq!(copy.one(NOTES).await, "100 100");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_policy_hides_are_never_there_twice() {
    let copy = Copy::with(&numbers(100), "t: {}");
    copy.server.run("CREATE ROLE few LOGIN; GRANT CREATE, USAGE ON SCHEMA public TO few").await;
    copy.log_in_as("few");
    copy.delivered();
    copy.server
        .run("CREATE POLICY half ON t USING (id <= 50) WITH CHECK (true); ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        .await;
    assert!(copy.fails("row_security").contains("row-level security"));
    assert_eq!(copy.one(NOTES).await, "100 100");
    copy.server.run("ALTER TABLE t OWNER TO postgres; GRANT ALL ON t TO few").await;
    copy.fails("row_security");
    assert_eq!(copy.one(NOTES).await, "100 100");
    copy.server.run("ALTER ROLE few BYPASSRLS").await;
    copy.delivered();
    assert_eq!(copy.one(NOTES).await, "100 100");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_leaves_the_rows_of_tables_that_inherit_alone() {
    let copy = Copy::with(&numbers(100), "t: {}");
    copy.delivered();
    copy.server.run("CREATE TABLE heir () INHERITS (t); INSERT INTO heir VALUES (1000, 'theirs')").await;
    copy.source("DELETE FROM t WHERE id > 60");
    copy.delivered();
    assert_eq!(copy.one("SELECT count(*) || ' ' || max(id) FROM ONLY t").await, "60 60");
    assert_eq!(copy.rows("SELECT id, note FROM heir").await, ["(1000,theirs)"]);
    // Nor is a column of theirs emptied for the new type of ours, or dropped with it.
    copy.source("ALTER TABLE t DROP COLUMN note; ALTER TABLE t ADD COLUMN note INTEGER");
    assert!(copy.fails("schema_changed").contains("a table that inherits it"));
    copy.source("ALTER TABLE t DROP COLUMN note");
    copy.delivered();
    assert_eq!(copy.rows("SELECT id, note FROM heir").await, ["(1000,theirs)"]);
    assert_eq!(copy.one("SELECT count(*) FROM ONLY t").await, "60");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_whose_deletions_would_reach_another_table_is_refused() {
    let copy = Copy::with(&numbers(100), "t: {}");
    copy.delivered();
    copy.server.run("ALTER TABLE t ADD PRIMARY KEY (id), ADD COLUMN above bigint REFERENCES t ON DELETE CASCADE").await;
    // A reference within the table itself takes nothing of others.
    copy.delivered();
    for action in ["CASCADE", "SET NULL", "SET DEFAULT"] {
        copy.server
            .run(&format!("CREATE TABLE child (t_id bigint DEFAULT 1 CONSTRAINT own REFERENCES t ON DELETE {action}); INSERT INTO child VALUES (7)"))
            .await;
        let text = copy.fails("target_denied");
        assert!(text.contains("the foreign key own of") && text.contains("child"), "{action}: {text}");
        assert_eq!(copy.rows("SELECT * FROM child").await, ["(7)"], "{action}");
        copy.server.run("DROP TABLE child").await;
    }
    // One that came after the look at the table counts as well.
    let marker = waybill_tests::fault::Marker::at(copy.path("fired"));
    let mut slow = copy.command("waybill-worker-faults");
    slow.env("WAYBILL_FAULT", marker.order("rows_sent=pause")).stdout(std::process::Stdio::piped());
    let slow = slow.spawn().expect("run");
    marker.fires(1).await.expect("its rows are sent");
    copy.server
        .run("CREATE TABLE child (t_id bigint REFERENCES t ON DELETE CASCADE); INSERT INTO child VALUES (7)")
        .await;
    marker.release().expect("go on");
    let output = tokio::task::block_in_place(|| slow.wait_with_output()).expect("an end");
    assert_eq!(super::report(&output)["streams"][0]["failure"], "target_denied");
    assert_eq!(copy.rows("SELECT * FROM child").await, ["(7)"]);
    // What the text says to do instead.
    copy.server
        .run("DROP TABLE child; CREATE TABLE child (t_id bigint REFERENCES t DEFERRABLE INITIALLY DEFERRED); INSERT INTO child VALUES (7)")
        .await;
    copy.delivered();
    assert_eq!(copy.rows("SELECT * FROM child").await, ["(7)"]);
    assert_eq!(copy.one(NOTES).await, "100 100");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partitioned_table_is_replaced_with_its_partitions_and_nothing_else() {
    let copy = Copy::with(&numbers(100), "t: { take-over: true }");
    copy.server
        .run(
            "CREATE TABLE t (id bigint PRIMARY KEY, note text) PARTITION BY RANGE (id);
             CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (50); CREATE TABLE high PARTITION OF t FOR VALUES FROM (50) TO (500);
             INSERT INTO t SELECT g, 'old' FROM generate_series(1, 120) g",
        )
        .await;
    copy.delivered();
    copy.delivered();
    assert_eq!(copy.one(NOTES).await, "100 100");
    assert_eq!(copy.one("SELECT count(*) FROM low").await, "49");
    copy.server
        .run("CREATE TABLE child (t_id bigint REFERENCES high ON DELETE CASCADE); INSERT INTO child VALUES (70)")
        .await;
    assert!(copy.fails("target_denied").contains("the foreign key child_t_id_fkey of"));
    assert_eq!(copy.rows("SELECT * FROM child").await, ["(70)"]);
}
