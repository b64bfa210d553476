-- Nothing to change for this version.
SELECT 1;
