-- How many letters went there on the UTC day of `at`: whoever asks for one more gets few a day.
ALTER TABLE asked ADD COLUMN letters INTEGER NOT NULL DEFAULT 1;
