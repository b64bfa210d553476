-- A target that is several upstream objects has a list of identifiers, not one text with commas in it. The
-- program fills the column from `upstream_target`, and drops that one.
ALTER TABLE operations ADD COLUMN upstream_targets bytea NOT NULL DEFAULT '\x';
