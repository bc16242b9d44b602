//! A report as a person reads it: a table, and what remotes said.

use serde_json::Value;

use super::{aligned, list, when};

/// The whole report.
pub(crate) fn report(report: &Value) -> String {
    let word = |name| report.get(name).and_then(Value::as_str).unwrap_or("");
    let titles = COLUMNS.map(|(_, title)| title.to_owned());
    let mut rows = vec![[vec![String::new()], titles.to_vec()].concat()];
    let total = report.get("total").unwrap_or(&Value::Null);
    rows.push(row("all".to_owned(), total));
    for line in list(report, "lines") {
        let names = ["tenant", "provider", "vendor"];
        let name = names.iter().find_map(|name| line.get(name));
        let name = name.and_then(Value::as_str).unwrap_or("(erased tenants)");
        rows.push(row(name.to_owned(), line));
    }
    let mut text = vec![
        format!(
            "Recipients from {} to {}; of deferred, attempts that were put off",
            when(word("from")),
            when(word("until"))
        ),
        String::new(),
    ];
    text.extend(aligned(&rows, 1));
    match report.get("left_out").and_then(Value::as_u64) {
        None | Some(0) => {}
        Some(1) => text.push(format!("and 1 {} more: --limit shows it", word("by"))),
        Some(n) => text.push(format!("and {n} {}s more: --limit shows them", word("by"))),
    }
    text.extend(refusals(report));
    text.join("\n")
}

const COLUMNS: [(&str, &str); 8] = [
    ("accepted", "accepted"),
    ("delivered", "delivered"),
    ("deferred", "deferred"),
    ("bounced", "bounced"),
    ("expired", "expired"),
    ("suppressed", "suppressed"),
    ("p50_seconds", "half in"),
    ("p95_seconds", "95 % in"),
];

fn row(name: String, line: &Value) -> Vec<String> {
    let mut cells = vec![name];
    for (column, _) in COLUMNS {
        let value = line.get(column).unwrap_or(&Value::Null);
        cells.push(match value.as_f64() {
            None => "-".to_owned(),
            Some(seconds) if column.ends_with("_seconds") => span(seconds),
            Some(_) => value.to_string(),
        });
    }
    cells
}

/// The bound of a class: what it says is «at most».
fn span(seconds: f64) -> String {
    let unit = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s")];
    // Up to 48 hours in hours, up to 30 minutes in minutes.
    let fits =
        |(one, _): &&(f64, &str)| seconds >= *one && (*one < 86_400.0 || seconds > 172_800.0);
    match unit.iter().find(fits) {
        Some((one, unit)) => format!("{} {unit}", seconds / one),
        None => format!("{} ms", (seconds * 1_000.0).round()),
    }
}

fn refusals(report: &Value) -> Vec<String> {
    let refusals = list(report, "refusals");
    if refusals.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![
        String::new(),
        "Refusals, the most frequent first".to_owned(),
    ];
    for refusal in refusals {
        let count = refusal.get("count").and_then(Value::as_u64).unwrap_or(0);
        let provider = refusal.get("provider").and_then(Value::as_str);
        let text = refusal.get("text").and_then(Value::as_str);
        lines.push(format!(
            "{count:>8}  {:<15}  {}",
            provider.unwrap_or(""),
            text.unwrap_or("(other words: too many to be told apart)")
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_is_a_table_and_what_remotes_said() {
        let given = json!({
            "from": "2026-11-20T14:00:00.000000Z", "until": "2026-11-21T14:23:11.123456Z", "by": "tenant",
            "total": {"accepted": 1200, "delivered": 1100, "deferred": 31, "bounced": 12, "expired": 0,
                "suppressed": 4, "p50_seconds": 0.2, "p95_seconds": 300},
            "lines": [{"tenant": "joes-garage-7k2f", "accepted": 7, "delivered": 6, "deferred": 0,
                "bounced": 0, "expired": 0, "suppressed": 0, "p50_seconds": 2, "p95_seconds": null}],
            "left_out": 3,
            "refusals": [{"provider": "google", "text": "550 5.1.1 no such user", "count": 12},
                {"provider": "other", "text": null, "count": 2}],
        });
        let want = "\
Recipients from 2026-11-20 14:00:00 UTC to 2026-11-21 14:23:11 UTC; of deferred, attempts that were put off

                  accepted  delivered  deferred  bounced  expired  suppressed  half in  95 % in
all                   1200       1100        31       12        0           4   200 ms    5 min
joes-garage-7k2f         7          6         0        0        0           0      2 s        -
and 3 tenants more: --limit shows them

Refusals, the most frequent first
      12  google           550 5.1.1 no such user
       2  other            (other words: too many to be told apart)";
        assert_eq!(report(&given), want);
    }

    #[test]
    fn vendors_stand_in_a_report_by_their_slugs() {
        let sum = |vendor: Option<&str>, accepted: u64| {
            json!({"vendor": vendor, "accepted": accepted, "delivered": 2, "deferred": 0, "bounced": 0,
                "expired": 0, "suppressed": 0, "p50_seconds": 1, "p95_seconds": 1})
        };
        let given = json!({
            "from": "2026-11-20T14:00:00.000000Z", "until": "2026-11-21T14:23:11.123456Z", "by": "vendor",
            "total": sum(None, 4), "lines": [sum(Some("acme"), 3), sum(None, 1)], "left_out": 1,
            "refusals": [],
        });
        let printed = report(&given);
        let lines: Vec<_> = printed.lines().skip(4).collect();
        assert!(lines[0].starts_with("acme              "), "{printed}");
        assert!(lines[1].starts_with("(erased tenants)  "), "{printed}");
        assert_eq!(lines[2], "and 1 vendor more: --limit shows it");
    }

    #[test]
    fn the_bounds_of_times_are_printed_whole() {
        for (seconds, want) in [
            (0.1, "100 ms"),
            (1.0, "1 s"),
            (60.0, "1 min"),
            (1_800.0, "30 min"),
            (3_600.0, "1 h"),
            (172_800.0, "48 h"),
            (345_600.0, "4 d"),
        ] {
            assert_eq!(span(seconds), want);
        }
    }
}
