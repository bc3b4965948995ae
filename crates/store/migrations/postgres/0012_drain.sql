-- Since when a data plane is being drained: nothing is launched there, and workers finish only what they have begun.
ALTER TABLE data_plane ADD COLUMN draining_since BIGINT;
