-- What keeps an operation safe is stored when it is accepted, so that neither another configuration nor a
-- replica that lacks the provider decides by less. NULL in operations of older versions.
ALTER TABLE operations ADD COLUMN safety BLOB;
