-- Where a large body lies in the files beside the database; its `bytes` are empty then.

ALTER TABLE bodies ADD COLUMN segment INTEGER; -- NULL: the bytes are here
ALTER TABLE bodies ADD COLUMN start INTEGER;
ALTER TABLE bodies ADD COLUMN length INTEGER;
CREATE INDEX bodies_segment ON bodies (segment) WHERE segment IS NOT NULL;
