-- Regions that a project's data planes, buckets and secrets may stand in, with blanks between; any where it is empty.
ALTER TABLE project ADD COLUMN allowed_regions TEXT NOT NULL DEFAULT '';
