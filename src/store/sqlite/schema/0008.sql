-- How an operation ends unless something else shows first; NULL in nearly every row.
ALTER TABLE operations ADD COLUMN pending_end BLOB;
