//! Comma-separated values as spreadsheets write them (RFC 4180), a record at a time: quoted fields
//! with commas, quotes and line ends in them, a byte order mark, semicolons in place of commas.

use std::io::BufRead;

/// A record's bytes at most.
const RECORD_MOST: usize = 64 * 1024;

/// Reads records.
pub(super) struct Table<R> {
    reader: R,
    separator: char,
    /// Of the line that was read last, from 1.
    line: u64,
}

/// One record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The line on which it begins.
    pub(super) line: u64,
    /// Why it cannot be read, where it cannot.
    pub(super) fields: Result<Vec<String>, &'static str>,
}

impl<R: BufRead> Table<R> {
    /// Reads the first record, whose separator is that of all.
    pub(super) fn open(reader: R) -> std::io::Result<(Self, Option<Record>)> {
        let mut table = Self {
            reader,
            separator: ',',
            line: 0,
        };
        let Some((line, text)) = table.record()? else {
            return Ok((table, None));
        };
        let text = text.map(|text| text.trim_start_matches('\u{feff}').to_owned());
        if let Ok(text) = &text
            && text.contains(';')
            && !text.contains(',')
        {
            table.separator = ';';
        }
        let fields = text.and_then(|text| split(&text, table.separator));
        Ok((table, Some(Record { line, fields })))
    }

    /// The next record that is not empty; `None` at the end.
    pub(super) fn next(&mut self) -> std::io::Result<Option<Record>> {
        let Some((line, text)) = self.record()? else {
            return Ok(None);
        };
        let fields = text.and_then(|text| split(&text, self.separator));
        Ok(Some(Record { line, fields }))
    }

    // Lines until its quotes are closed.
    fn record(&mut self) -> std::io::Result<Option<(u64, Result<String, &'static str>)>> {
        let mut bytes = Vec::new();
        loop {
            let begins = self.line + 1;
            loop {
                let more = self.line_into(&mut bytes)?;
                let is_closed = bytes.split(|byte| *byte == b'"').count() % 2 == 1;
                if !more || is_closed || bytes.len() > RECORD_MOST {
                    break;
                }
            }
            if bytes.is_empty() {
                return Ok(None);
            }
            if bytes.len() > RECORD_MOST {
                return Ok(Some((
                    begins,
                    Err("it is longer than 64 KB: a quote is not closed"),
                )));
            }
            while bytes
                .last()
                .is_some_and(|last| matches!(last, b'\r' | b'\n'))
            {
                bytes.pop();
            }
            if !bytes.is_empty() {
                let text = String::from_utf8(bytes);
                return Ok(Some((
                    begins,
                    text.map_err(|_| "it is not UTF-8: save it as such"),
                )));
            }
        }
    }

    // False at the end. What does not fit is read and dropped.
    fn line_into(&mut self, bytes: &mut Vec<u8>) -> std::io::Result<bool> {
        let mut any = false;
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                break;
            }
            if !any {
                self.line += 1;
                any = true;
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(chunk.len(), |end| end + 1);
            if bytes.len() <= RECORD_MOST {
                bytes.extend(chunk.iter().take(taken));
            }
            self.reader.consume(taken);
            if end.is_some() {
                return Ok(true);
            }
        }
        Ok(any)
    }
}

fn split(text: &str, separator: char) -> Result<Vec<String>, &'static str> {
    let (mut fields, mut field, mut chars) = (Vec::new(), String::new(), text.chars().peekable());
    let (mut is_quoted, mut was_quoted) = (false, false);
    while let Some(c) = chars.next() {
        if is_quoted {
            match c {
                '"' if chars.next_if_eq(&'"').is_some() => field.push('"'),
                '"' => is_quoted = false,
                c => field.push(c),
            }
        } else if c == separator {
            fields.push(std::mem::take(&mut field));
            was_quoted = false;
        } else if c == '"' && field.trim().is_empty() && !was_quoted {
            field.clear();
            (is_quoted, was_quoted) = (true, true);
        } else {
            field.push(c);
        }
    }
    if is_quoted {
        return Err("a quote is not closed");
    }
    fields.push(field);
    Ok(fields)
}

/// A field as it stands in a record.
pub(super) fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &[u8]) -> Vec<Record> {
        let (mut table, first) = Table::open(text).unwrap();
        let mut all: Vec<_> = first.into_iter().collect();
        while let Some(record) = table.next().unwrap() {
            all.push(record);
        }
        all
    }

    fn read(text: &str) -> Vec<(u64, Vec<String>)> {
        let records = records(text.as_bytes()).into_iter();
        records
            .map(|record| (record.line, record.fields.unwrap()))
            .collect()
    }

    #[test]
    fn records_are_read_as_spreadsheets_write_them() {
        for (text, want) in [
            ("a,b\n1,2\n", vec![(1, vec!["a", "b"]), (2, vec!["1", "2"])]),
            (
                "\u{feff}a;b\r\n\r\n\"x;y\";2",
                vec![(1, vec!["a", "b"]), (3, vec!["x;y", "2"])],
            ),
            (
                "a,b\n\"x \"\"y\"\",\nz\",2\n3,\n",
                vec![
                    (1, vec!["a", "b"]),
                    (2, vec!["x \"y\",\nz", "2"]),
                    (4, vec!["3", ""]),
                ],
            ),
        ] {
            let want: Vec<_> = want
                .into_iter()
                .map(|(line, fields)| (line, fields.into_iter().map(str::to_owned).collect()))
                .collect();
            assert_eq!(read(text), want, "{text:?}");
        }
        assert!(read("").is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_one_bad_record() {
        let long = format!("a\n\"{}\n", "x\n".repeat(40_000));
        let found = records(long.as_bytes());
        assert!(found.iter().any(|record| record.fields.is_err()));
        let found = records(b"a\n\xff\nb\n");
        assert_eq!((found.len(), found[1].line), (3, 2));
        assert!(found[1].fields.is_err() && found[2].fields.is_ok());
        assert!(records(b"a\n\"b")[1].fields.is_err());
    }

    #[test]
    fn a_field_is_read_back_as_it_was_written() {
        for text in ["plain", "a,b", "say \"x\"", "two\nlines"] {
            let line = format!("{},end", field(text));
            assert_eq!(split(&line, ',').unwrap(), [text, "end"]);
        }
    }
}
