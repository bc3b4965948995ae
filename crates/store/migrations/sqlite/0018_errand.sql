-- What a run does with a stream in place of its next window, where it is no reload: a forgotten cursor, or a range that is read
-- once more. JSON; its bounds are what somebody typed into the command.
ALTER TABLE run_stream ADD COLUMN errand TEXT;
