//! Failure codes: a public contract. Few, stable, each with one retry policy and one hint.
//!
//! Customers write retry rules on them. A code is never renamed; a retired one stays listed.

mod hint;

use crate::run::{UnknownName, named};

named! {
    /// Why a stream, an attempt or a run failed.
    FailureCode {
        /// No connection to the source could be made.
        SourceUnreachable = "source_unreachable",
        /// The source refused the user or a grant is missing.
        SourceDenied = "source_denied",
        /// The source broke the connection or answered with an error.
        SourceFailed = "source_failed",
        /// The source ended before it proved that all rows were sent.
        SourceIncomplete = "source_incomplete",
        /// A file or table changed while it was read.
        SourceChanged = "source_changed",
        /// The shared snapshot ended before all ranges were read.
        SnapshotLost = "snapshot_lost",
        /// A replica canceled the read to go on with recovery.
        RecoveryConflict = "recovery_conflict",
        /// The source sent bytes that its protocol or format does not allow.
        SourceMalformed = "source_malformed",
        /// TLS could not be agreed or the certificate was not trusted.
        TlsFailed = "tls_failed",
        /// The server wants a client certificate and got none, or refused the one it got.
        ClientCertificateRefused = "client_certificate_refused",
        /// The SSH server did not show the host key that is pinned.
        SshHostKeyRefused = "ssh_host_key_refused",
        /// The SSH server refused the log-in, or the way to the database.
        SshDenied = "ssh_denied",
        /// The SSH session ended while a database was read through it.
        SshTunnelLost = "ssh_tunnel_lost",
        /// The table, object or file set does not exist or is hidden from this user.
        StreamNotFound = "stream_not_found",
        /// A column that the spec names does not exist.
        ColumnNotFound = "column_not_found",
        /// Row-level security would hide rows from this user.
        RowSecurity = "row_security",
        /// A value can't be stored exactly, and the policy says to fail.
        ValueRefused = "value_refused",
        /// An array has several dimensions or another lower bound than 1.
        ArrayShape = "array_shape",
        /// A row is larger than an eighth of the memory budget.
        RowTooLarge = "row_too_large",
        /// The cursor column holds NULL.
        CursorNull = "cursor_null",
        /// A zone-less cursor has no zone in the spec.
        CursorZoneUnknown = "cursor_zone_unknown",
        /// The cursor's type can't be used for windows.
        CursorUnusable = "cursor_unusable",
        /// The table's cursor is of another column, zone, source, table or filter than the stream's.
        CursorChanged = "cursor_changed",
        /// Every number of the cursor column lies below the last one that was read.
        CursorFellBack = "cursor_fell_back",
        /// The key of a `changed` stream is not one: no index of the source proves it, its type can't be compared, or values of it were bent.
        KeyUnusable = "key_unusable",
        /// A row's key is NULL or comes twice.
        KeyViolated = "key_violated",
        /// A column's name can't stand in the table.
        ColumnNameUnusable = "column_name_unusable",
        /// The stream's columns differ from the table's.
        SchemaChanged = "schema_changed",
        /// A CSV file is not what the spec says.
        CsvMalformed = "csv_malformed",
        /// A JSON Lines file is not what the spec says.
        JsonMalformed = "json_malformed",
        /// A Parquet file is damaged.
        ParquetMalformed = "parquet_malformed",
        /// A compressed file breaks a cap or is of a refused kind.
        ArchiveRefused = "archive_refused",
        /// No connection to the bucket could be made.
        BucketUnreachable = "bucket_unreachable",
        /// The bucket refused the credentials or a permission is missing.
        BucketDenied = "bucket_denied",
        /// The bucket asked to slow down for too long.
        BucketThrottled = "bucket_throttled",
        /// The bucket answered with an error.
        BucketFailed = "bucket_failed",
        /// No space is left where the table is written.
        BucketFull = "bucket_full",
        /// The store ignores conditional writes, so commits there can't be atomic.
        BucketUnconditional = "bucket_unconditional",
        /// No connection to the database that is written to could be made.
        TargetUnreachable = "target_unreachable",
        /// The database that is written to refused the user, or a grant is missing.
        TargetDenied = "target_denied",
        /// The database that is written to broke the connection or answered with an error.
        TargetFailed = "target_failed",
        /// The table was made by something else, or belongs to another pipeline.
        TableNotOurs = "table_not_ours",
        /// A foreign commit took files of ours away.
        TableChangedByOther = "table_changed_by_other",
        /// Rows of an earlier run may be in the table, and the log that would tell is gone.
        AppendInDoubt = "append_in_doubt",
        /// The table uses a Delta feature that is not on our list.
        TableFeatureUnsupported = "table_feature_unsupported",
        /// The commit log has a gap, a wrong parent digest or a damaged record.
        CommitLogCorrupt = "commit_log_corrupt",
        /// The outcome of a commit could not be read back yet.
        CommitUnknown = "commit_unknown",
        /// The commit, its state or its receipt would name more files than can be read again.
        CommitTooLarge = "commit_too_large",
        /// Another writer changed the table's files while rows were merged into them.
        MergeOvertaken = "merge_overtaken",
        /// The table's epoch is more than 24 h in the future.
        EpochAhead = "epoch_ahead",
        /// A replace would keep too few rows.
        TableShrank = "table_shrank",
        /// Rows are not what the stream expects of them.
        ExpectationFailed = "expectation_failed",
        /// What the stream expects can't be checked on columns of these types.
        ExpectationUnusable = "expectation_unusable",
        /// The rows of a `unique` expectation do not fit the memory.
        ExpectationTooLarge = "expectation_too_large",
        /// What somebody asked of the stream for this run can't be done with it.
        RequestUnusable = "request_unusable",
        /// Another attempt took over.
        Fenced = "fenced",
        /// The customer's guard forbids this plan.
        PolicyDenied = "policy_denied",
        /// The place of the guard did not answer: neither allowed nor forbidden.
        GuardUnreachable = "guard_unreachable",
        /// The guard runs only signed plans, and this one's signature is missing, over or not right.
        SignatureRejected = "signature_rejected",
        /// A host is, or resolves to, an address that workers never dial: metadata, link-local, loopback in a cloud.
        EgressDenied = "egress_denied",
        /// What a secret reference names can't be used, or the worker is not set up to follow it.
        SecretUnresolved = "secret_unresolved",
        /// What a secret reference names is not there.
        SecretNotFound = "secret_not_found",
        /// The worker's own identity may not read what a secret reference names.
        SecretAccessDenied = "secret_access_denied",
        /// The system that holds a secret did not answer.
        SecretUnreachable = "secret_unreachable",
        /// The worker does not accept the spec.
        SpecRefused = "spec_refused",
        /// The cloud has no room for the task.
        NoCapacity = "no_capacity",
        /// The task could not be started.
        LaunchFailed = "launch_failed",
        /// The cloud refused the launch for a missing permission.
        AccessDenied = "access_denied",
        /// The cloud does not accept what the launch asks for.
        LaunchRefused = "launch_refused",
        /// No check has found that the data plane's role asks for its external id.
        DataPlaneUnchecked = "data_plane_unchecked",
        /// The data plane, a bucket or a secret stands in a region that the project does not allow.
        RegionNotAllowed = "region_not_allowed",
        /// The worker's image could not be loaded.
        ImageUnavailable = "image_unavailable",
        /// The cloud could not set the task up: network interface, secrets or log group.
        TaskSetupFailed = "task_setup_failed",
        /// The cloud took spare capacity back.
        SpotInterrupted = "spot_interrupted",
        /// No worker enrolled in time.
        StartTimeout = "start_timeout",
        /// The worker vanished without an outcome.
        WorkerLost = "worker_lost",
        /// The data plane is being drained: what had begun was finished, the rest waits.
        Drained = "drained",
        /// The run took longer than its limit.
        RunTimeout = "run_timeout",
        /// The worker was killed for using too much memory.
        OutOfMemory = "out_of_memory",
        /// Worker and orchestrator are too far apart in version.
        UpgradeRequired = "upgrade_required",
        /// A defect in the worker.
        WorkerBug = "worker_bug",
        /// The source has columns that the table has not, and nothing says what becomes of them.
        ColumnsUndecided = "columns_undecided",
        /// Files were rewritten after an earlier run took them.
        FilesRewritten = "files_rewritten",
        /// A file holds bytes that are no text in its encoding.
        TextUndecodable = "text_undecodable",
        /// Values in the files are not those that the source has in the same snapshot.
        ChecksumMismatch = "checksum_mismatch",
        /// The values of a column have no text that is the same at both ends, or there is nothing to sum them by.
        ChecksumUnusable = "checksum_unusable",
    }
}

/// What follows from a failure without anybody's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryPolicy {
    /// Tried again with full jitter, 1 s to 5 min.
    Retry,
    /// Tried again with a wait of at least half of the longest: the other side asked for patience. How long it named is not
    /// carried; the worker waited that out before it gave up.
    RetryAfter,
    /// Tried again only after a person changed something.
    AfterFix,
    /// Not tried again.
    Never,
}

impl FailureCode {
    /// The one table of retry policies.
    #[must_use]
    pub const fn policy(self) -> RetryPolicy {
        use {FailureCode as C, RetryPolicy as P};
        match self {
            C::SourceUnreachable
            | C::SourceFailed
            | C::SourceIncomplete
            | C::SourceChanged
            | C::SnapshotLost
            | C::RecoveryConflict
            | C::SshTunnelLost
            | C::BucketUnreachable
            | C::BucketFailed
            | C::TargetUnreachable
            | C::TargetFailed
            | C::SecretUnreachable
            | C::GuardUnreachable
            | C::CommitUnknown
            | C::MergeOvertaken
            | C::NoCapacity
            | C::LaunchFailed
            | C::ImageUnavailable
            | C::TaskSetupFailed
            | C::SpotInterrupted
            | C::StartTimeout
            | C::WorkerLost
            | C::Drained
            | C::OutOfMemory => P::Retry,
            C::BucketThrottled => P::RetryAfter,
            C::SourceDenied
            | C::TlsFailed
            | C::ClientCertificateRefused
            | C::SshHostKeyRefused
            | C::SshDenied
            | C::StreamNotFound
            | C::ColumnNotFound
            | C::RowSecurity
            | C::ValueRefused
            | C::ArrayShape
            | C::RowTooLarge
            | C::CursorNull
            | C::CursorZoneUnknown
            | C::CursorUnusable
            | C::CursorChanged
            | C::CursorFellBack
            | C::KeyUnusable
            | C::KeyViolated
            | C::ColumnNameUnusable
            | C::SchemaChanged
            | C::ColumnsUndecided
            | C::FilesRewritten
            | C::TextUndecodable
            | C::SourceMalformed
            | C::CsvMalformed
            | C::JsonMalformed
            | C::ParquetMalformed
            | C::ArchiveRefused
            | C::BucketDenied
            | C::BucketFull
            | C::BucketUnconditional
            | C::TargetDenied
            | C::TableNotOurs
            | C::TableChangedByOther
            | C::AppendInDoubt
            | C::TableFeatureUnsupported
            | C::CommitLogCorrupt
            | C::CommitTooLarge
            | C::EpochAhead
            | C::TableShrank
            | C::ChecksumMismatch
            | C::ChecksumUnusable
            | C::ExpectationFailed
            | C::ExpectationUnusable
            | C::ExpectationTooLarge
            | C::RequestUnusable
            | C::PolicyDenied
            | C::SignatureRejected
            | C::EgressDenied
            | C::SecretUnresolved
            | C::SecretNotFound
            | C::SecretAccessDenied
            | C::SpecRefused
            | C::AccessDenied
            | C::LaunchRefused
            | C::DataPlaneUnchecked
            | C::RegionNotAllowed
            | C::RunTimeout
            | C::UpgradeRequired => P::AfterFix,
            C::Fenced | C::WorkerBug => P::Never,
        }
    }

    /// What a person should do next, in one short sentence.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        use FailureCode as C;
        match self {
            C::SourceUnreachable => {
                "check the source connection from where the worker runs: host, port and network of a server, the path of a file"
            }
            C::SourceDenied => "check the user, the password reference and the grants of the source user",
            C::SourceFailed => "look into the source's own log; the full worker log is in the bucket",
            C::SourceIncomplete => {
                "the source ended early: look for restarts or proxies that cut connections; where the run says `window_held`, end the prepared or open transaction of the source"
            }
            C::SourceChanged => "the source was rewritten while it was read; the next try reads it anew",
            C::SnapshotLost => "the connection that held the snapshot ended; look for idle timeouts on the way",
            C::RecoveryConflict => "raise max_standby_streaming_delay or set hot_standby_feedback on the replica",
            C::SourceMalformed => {
                "the source is not what the connection says: check that a server's address is the right one, or that the file is whole and of that kind"
            }
            C::TlsFailed => {
                "give the server's CA with `ca`, a file on the worker or a reference such as aws-ssm:///name, or check the name in its certificate"
            }
            C::ClientCertificateRefused => {
                "give `client-cert` and `client-key`: of a CA that the server trusts, not expired, and with the user's name (CN) or one that the server maps to it"
            }
            C::SshHostKeyRefused => {
                "compare `ssh.host-key` and the fingerprint in the worker's log with the server's own (`ssh-keygen -lf` of its public key there); nothing was sent"
            }
            C::SshDenied => {
                "check `ssh.user`, the key's line in authorized_keys there, and AllowTcpForwarding and PermitOpen in sshd_config"
            }
            C::SshTunnelLost => {
                "look for restarts, time limits and full memory of the SSH server; the next try begins anew"
            }
            C::StreamNotFound => "run `waybill connection discover` to see what this user can read",
            C::ColumnNotFound => "compare the spec's columns with `waybill connection discover`",
            C::RowSecurity => {
                "log in as a user that row-level security does not filter (BYPASSRLS), or, where rows are read, read a view"
            }
            C::ValueRefused => {
                "a value does not fit its type: choose `twin`, the default, to keep it as text; where a destination refuses it, mend the row, the constraint or the trigger (no text of PostgreSQL holds the character U+0000)"
            }
            C::ArrayShape => "take `arrays: fail` out: arrays of any shape are kept then",
            C::RowTooLarge => {
                "give the worker more memory: a row must fit an eighth of it; or raise the limit of the source where its text names one"
            }
            C::CursorNull => {
                "choose a cursor without NULLs and infinite times, or set `cursor-nulls` to ignore or include_always"
            }
            C::CursorZoneUnknown => "name the zone of the cursor column with `cursor-zone`",
            C::CursorUnusable => {
                "choose a cursor column of an integer or timestamp type; on SQLite its times must all be written alike, as the worker's log says"
            }
            C::CursorChanged => {
                "name the old cursor column, `cursor-zone`, source, table or filter again, or run one `full` load: `new` then begins anew; where it is the same source or table under another name, `take-over: true` goes on from the cursor"
            }
            C::CursorFellBack => {
                "run one `full` load: `new` then begins anew too; where only the newest rows were deleted of a Postgres column that owns its sequence, `GRANT SELECT` on that sequence to the source's user goes on instead"
            }
            C::KeyUnusable => {
                "name columns with `key` that a primary key or a unique index without a condition of the source covers, of whole numbers, decimals, text, dates or times"
            }
            C::KeyViolated => {
                "mend the rows whose key is NULL or comes twice; the worker's log says how many there are"
            }
            C::ColumnNameUnusable => "rename the column in the stream's `columns.rename`",
            C::SchemaChanged => {
                "review the columns, which the worker's log names; `waybill run start PIPELINE --reload STREAM` (or `waybill-worker once --reload STREAM`) reads the stream whole and takes the new shape in one commit"
            }
            C::CsvMalformed => "the log in the bucket names file hash and line; check delimiter, quotes and encoding",
            C::JsonMalformed => "the log in the bucket names file hash and line; each line must be one JSON object",
            C::ParquetMalformed => "the log in the bucket names the file's hash; write that file again",
            C::ArchiveRefused => {
                "unpack the file, or pack it with gzip (.gz), zstd (.zst) or zip (.zip); the worker's log says what was refused"
            }
            C::BucketUnreachable => {
                "check endpoint, region and network of the bucket, or the path of the directory, from where the worker runs"
            }
            C::BucketDenied => "check the worker's credentials and its grants on this prefix",
            C::BucketThrottled => "the store limits requests; run fewer streams at once or later",
            C::BucketFailed => "the store answered with an error; look into its status page or log",
            C::BucketFull => "make room where the table is written; nothing was committed",
            C::BucketUnconditional => "use a store that honours If-None-Match; commits can't be safe on this one",
            C::TargetUnreachable => {
                "check the destination connection from where the worker runs: host, port and network of the server"
            }
            C::TargetDenied => {
                "check the user and the password reference of the destination, the grants that docs/postgres-target.md lists, and, where the worker's log names one, a trigger, rule or foreign key"
            }
            C::TargetFailed => "look into the destination's own log; nothing was committed",
            C::TableNotOurs => "choose another prefix, or set `take-over: true` if this table is meant",
            C::TableChangedByOther => "a foreign job removed files; run one `full` load to settle what is right",
            C::AppendInDoubt => {
                "where no row of the table came from here, remove its directory _waybill/state and run again; otherwise run one `full` load, which replaces every row"
            }
            C::TableFeatureUnsupported => "remove the table feature, or write to another prefix",
            C::CommitLogCorrupt => "nothing was written; run `waybill-worker verify` on the table",
            C::CommitUnknown => "the next attempt reads the bucket first and settles it",
            C::CommitTooLarge => {
                "write larger files (`size` of `files`), compact the table with another writer (OPTIMIZE), partition by something coarser, or leave columns out: a commit names every file with statistics of its columns; nothing was committed"
            }
            C::MergeOvertaken => "the next attempt merges anew; run compaction jobs when no run works on the table",
            C::EpochAhead => {
                "mend the clock that was wrong, then `waybill pipeline accept-epoch PIPELINE`; after `waybill-worker once`, run it with --accept-epoch"
            }
            C::TableShrank => "if the source really lost these rows, set `shrink-guard: off` for one run",
            C::ExpectationFailed => {
                "the run's events say which expectation and how many rows: mend them at the source, or let it `on-failure: warn`; nothing was committed"
            }
            C::ExpectationUnusable => {
                "name columns that the stream delivers: whole numbers, decimals, text, dates and times for `unique`; numbers, dates and times with bounds of their own kind for `range`"
            }
            C::ExpectationTooLarge => {
                "give the worker more memory, as the worker's log says how much, or take the `unique` expectation out; nothing was committed"
            }
            C::RequestUnusable => {
                "the worker's log says why: a backfill and a forgotten cursor need `load: changed` and bounds of the cursor's own type, a limited run a table that no whole run has filled"
            }
            C::Fenced => "another attempt took over; look at the newest attempt of the run",
            C::PolicyDenied => "the guard forbids this plan: narrow the pipeline, or widen the guard",
            C::GuardUnreachable => {
                "check the worker's network way to the place of its guard, or in a container of an agent whether the agent runs; the next attempt asks anew"
            }
            C::SignatureRejected => "sign the pipeline file again with `waybill sign`, then apply it",
            C::EgressDenied => "name another host; the worker's log says which address it led to and why",
            C::SecretUnresolved => "what the reference names can't be used as a secret; the worker's own log says why",
            C::SecretNotFound => {
                "check name, key and version of the secret reference, and the region or namespace; an env:// variable of the orchestrator reaches its worker processes after `waybill data-plane pass-env DATA-PLANE VARIABLE`"
            }
            C::SecretAccessDenied => {
                "grant the worker's own role the read of this one secret (and kms:Decrypt on its key)"
            }
            C::SecretUnreachable => "check the worker's network way to the system that holds the secret",
            C::SpecRefused => {
                "the worker's log names the key of the pipeline that can't be followed: change it; `waybill validate` of the worker's version may say more"
            }
            C::NoCapacity => "the cloud has no room; try another zone or size",
            C::LaunchFailed => "check the data plane: its worker program could not be started",
            C::AccessDenied => {
                "run `waybill data-plane check`: it names the missing permission and the statement to add"
            }
            C::LaunchRefused => "run `waybill data-plane check`: cluster, task family or network are not as registered",
            C::DataPlaneUnchecked => "run `waybill data-plane check`: the role's trust must ask for the external id",
            C::RegionNotAllowed => {
                "the run's events name field and region: move it, or allow the region in the project"
            }
            C::ImageUnavailable => {
                "check the image's digest, the registry's grants and the subnets' way to the registry"
            }
            C::TaskSetupFailed => "check subnets, security groups, log group and execution role of the task",
            C::SpotInterrupted => "the next attempt runs on plain Fargate; choose `fargate` if this happens often",
            C::StartTimeout => "the worker did not enrol in time; check its way to the orchestrator",
            C::WorkerLost => "the worker vanished; look into its log file where it ran",
            C::Drained => "the run goes on once the data plane takes runs again: `waybill data-plane resume`",
            C::RunTimeout => "raise `limits.time`, or split the pipeline",
            C::OutOfMemory => "give the worker more memory or run fewer streams at once",
            C::UpgradeRequired => "upgrade the worker or the orchestrator to within one minor version",
            C::WorkerBug => "report the location hash and the code; the full log is in the bucket",
            C::ChecksumMismatch => {
                "the worker's log names the columns: run it once more, and where it is the same again tell the project their types in the source; nothing was committed"
            }
            C::ChecksumUnusable => {
                "the worker's log says which column and why: name others in the stream's `checksums`, or leave it out"
            }
            C::ColumnsUndecided => {
                "the worker's log names the columns: write `new-columns: add` or `ignore` for the stream, or name each in its `columns.select` or `columns.drop`"
            }
            C::TextUndecodable => {
                "the log in the bucket names file hash and line; name the encoding that the file was written in: `format: { type: csv, encoding: windows-1252 }`"
            }
            C::FilesRewritten => {
                "rows of these files are in the table as they were: `--reload` reads every file anew in their place; `changed-files: append` takes them again beside their old rows, `ignore` leaves them as they were taken"
            }
        }
    }

    /// Reads a code from the wire or the database.
    pub fn read(text: &str) -> Result<Self, UnknownName> {
        text.parse()
    }
}

/// A SQLSTATE from the compiled list, or `other`: a source can set its own, so an unknown one never leaves.
#[must_use]
pub fn known_sqlstate(state: &str) -> &'static str {
    const KNOWN: &[&str] = &[
        "08000", "08001", "08003", "08004", "08006", "08P01", "08S01", "0A000", "22003", "22007", "22008", "22021",
        "22P02", "22P03", "22P05", "25006", "25P02", "25P03", "28000", "28P01", "3D000", "3F000", "40001", "40P01",
        "42000", "42501", "42601", "42703", "42704", "42804", "42809", "42846", "42883", "42P01", "42P02", "42S02",
        "42S22", "53000", "53100", "53200", "53300", "54000", "55000", "55006", "55P03", "57014", "57P01", "57P02",
        "57P03", "57P04", "58000", "58030", "70100", "72000", "HY000", "XX000", "XX001", "XX002",
    ];
    KNOWN.iter().copied().find(|known| *known == state).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_and_has_a_hint() {
        for code in FailureCode::ALL {
            assert_eq!(FailureCode::read(code.as_str()), Ok(*code));
            assert!(!code.hint().is_empty() && !code.hint().ends_with('.'));
        }
    }

    #[test]
    fn a_sqlstate_that_a_source_made_up_does_not_leave() {
        assert_eq!(known_sqlstate("28P01"), "28P01");
        assert_eq!(known_sqlstate("SSN42"), "other");
    }
}
