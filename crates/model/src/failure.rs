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
        /// More rows could not be read than the stream allows to set aside.
        TooManyBadRows = "too_many_bad_rows",
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
            | C::TooManyBadRows
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
