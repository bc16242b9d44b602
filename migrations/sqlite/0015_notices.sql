-- When its tenant's turn to be told of it began; NULL: it has not come yet.
ALTER TABLE failures ADD COLUMN turn INTEGER;
