//! What a person should do next after each failure. The sentence may get better; the code that it belongs to stays.

use super::FailureCode;

impl FailureCode {
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
                "name the old cursor column, `cursor-zone`, source, table or filter again, or run one `full` load: `new` then begins anew; a `changed` stream takes another column, zone or filter with `--forget-cursor`; where it is the same source or table under another name, `take-over: true` goes on from the cursor"
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
            C::TooManyBadRows => {
                "the rows, each with its file, line and reason, are in your bucket below `_waybill/quarantine/` of the table; mend them there where they come from, or allow more: `bad-rows-share: 5%`"
            }
            C::FilesRewritten => {
                "rows of these files are in the table as they were: `--reload` reads every file anew in their place; `changed-files: append` takes them again beside their old rows, `ignore` leaves them as they were taken"
            }
        }
    }
}
