-- How many letters went there with less than the usual pause between them: whoever does not answer is
-- left in peace after some. And when the one before went, for where a letter does not come to be.
ALTER TABLE asked ADD COLUMN in_a_row INTEGER NOT NULL DEFAULT 1;
ALTER TABLE asked ADD COLUMN previous INTEGER;
