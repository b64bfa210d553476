-- What the steps are looked for by once more of which an attempt was taken for absent; NULL: there is none.
ALTER TABLE operations ADD COLUMN given_up bytea;
