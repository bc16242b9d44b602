//! Comma-separated values as spreadsheets write them (RFC 4180), a record at a time: quoted fields
//! with commas, quotes and line ends in them, a byte order mark, semicolons in place of commas.

use std::collections::VecDeque;
use std::io::BufRead;

/// A record's bytes at most.
const RECORD_MOST: usize = 64 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a record is not read whose quotes do not match.
const UNCLOSED: &str =
    "a quote is not closed: close it, or write it twice within a field in quotes";
const TOO_LONG: &str = "it is longer than 64 KB";
const NOT_UTF8: &str = "it is not UTF-8: save the file as UTF-8 (Excel: \"CSV UTF-8\")";

/// Reads records.
pub(super) struct Table<R> {
    reader: R,
    separator: char,
    /// Lines that were read ahead for a quote that is not closed.
    ahead: VecDeque<Vec<u8>>,
    /// Of the line that was taken last, from 1.
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
            ahead: VecDeque::new(),
            line: 0,
        };
        let mut first = table.read_line()?;
        if let Some(line) = &mut first {
            if line.starts_with(BYTE_ORDER_MARK) {
                line.drain(..BYTE_ORDER_MARK.len());
            }
            if line.contains(&b';') && !line.contains(&b',') {
                table.separator = ';';
            }
        }
        table.ahead.extend(first);
        let record = table.next()?;
        Ok((table, record))
    }

    /// The next record that is not empty; `None` at the end.
    pub(super) fn next(&mut self) -> std::io::Result<Option<Record>> {
        while let Some(line) = self.take_line()? {
            let begins = self.line;
            let bare = without_end(&line);
            if bare.is_empty() {
                continue;
            }
            let fields = match split(bare, self.separator) {
                Split::Open => self.with_more(line)?,
                split => split.done(),
            };
            return Ok(Some(Record {
                line: begins,
                fields,
            }));
        }
        Ok(None)
    }

    /// A record in which a quoted field goes on: lines until it is closed. Where it never is, the
    /// first line alone is bad, and those after it are read for themselves.
    fn with_more(&mut self, mut bytes: Vec<u8>) -> std::io::Result<Fields> {
        let mut more: Vec<Vec<u8>> = Vec::new();
        let fields = loop {
            let Some(line) = self.take_line()? else {
                break Err(UNCLOSED);
            };
            let may_close = line.contains(&b'"');
            bytes.extend(&line);
            more.push(line);
            if bytes.len() > RECORD_MOST {
                break Err(UNCLOSED);
            }
            if !may_close {
                continue;
            }
            match split(without_end(&bytes), self.separator) {
                Split::Open => {}
                split => break split.done(),
            }
        };
        if fields.is_err() {
            self.line -= more.len() as u64;
            for line in more.into_iter().rev() {
                self.ahead.push_front(line);
            }
        }
        Ok(fields)
    }

    fn take_line(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let line = match self.ahead.pop_front() {
            Some(line) => Some(line),
            None => self.read_line()?,
        };
        self.line += u64::from(line.is_some());
        Ok(line)
    }

    // With its end; `None` at the end of all. What does not fit is read and dropped.
    fn read_line(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut line: Option<Vec<u8>> = None;
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                return Ok(line);
            }
            let line = line.get_or_insert_default();
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(chunk.len(), |end| end + 1);
            if line.len() <= RECORD_MOST {
                line.extend(chunk.iter().take(taken));
            }
            self.reader.consume(taken);
            if end.is_some() {
                return Ok(Some(std::mem::take(line)));
            }
        }
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

type Fields = Result<Vec<String>, &'static str>;

/// What a record's bytes are.
enum Split {
    Done(Vec<String>),
    /// They end within quotes.
    Open,
    Bad(&'static str),
}

impl Split {
    fn done(self) -> Fields {
        match self {
            Self::Done(fields) => Ok(fields),
            Self::Open => Err(UNCLOSED),
            Self::Bad(why) => Err(why),
        }
    }
}

// A quote opens at a field's beginning alone; elsewhere it is a character like others. Behind the one
// that closes nothing but the field's end may stand.
fn split(bytes: &[u8], separator: char) -> Split {
    if bytes.len() > RECORD_MOST {
        return Split::Bad(TOO_LONG);
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Split::Bad(NOT_UTF8);
    };
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
        } else if was_quoted {
            if !c.is_whitespace() {
                return Split::Bad(UNCLOSED);
            }
        } else if c == '"' && field.trim().is_empty() {
            field.clear();
            (is_quoted, was_quoted) = (true, true);
        } else {
            field.push(c);
        }
    }
    if is_quoted {
        return Split::Open;
    }
    fields.push(field);
    Split::Done(fields)
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
    fn a_stray_quote_costs_one_line() {
        for text in [
            "a,b\n\"1,2\n3,4\n5,6\n",
            "a,b\n\"1,2\n3,4\n\"5\",6\n",
            "a,b\n\"1\"x,2\n3,4\n5,6\n",
        ] {
            let found = records(text.as_bytes());
            let lines: Vec<_> = found
                .iter()
                .map(|record| (record.line, record.fields.is_ok()))
                .collect();
            let want = [(1, true), (2, false), (3, true), (4, true)];
            assert_eq!(lines, want, "{text:?}");
        }
        let inches = read("a,b\n17\" screen,2\n3,4\n");
        assert_eq!(inches[1].1, ["17\" screen", "2"]);
        assert_eq!(inches[2], (3, vec!["3".to_owned(), "4".to_owned()]));
    }

    #[test]
    fn a_field_is_read_back_as_it_was_written() {
        for text in ["plain", "a,b", "say \"x\"", "two\nlines"] {
            let line = format!("{},end", field(text));
            let fields = split(line.as_bytes(), ',').done();
            assert_eq!(fields.unwrap(), [text, "end"]);
        }
    }
}
