//! Tenants as a person reads a list of them: one line each.

use serde_json::Value;

use super::{aligned, word};

/// The whole list; `--json` has all there is of each.
pub(crate) fn tenant_list(answer: &Value) -> String {
    let tenants = answer.as_array().map_or(&[][..], Vec::as_slice);
    if tenants.is_empty() {
        return "none".to_owned();
    }
    let titles = ["tenant", "vendor", "status", "reply to", "name"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(tenants.iter().map(|tenant| {
        let cells = ["slug", "vendor", "standing", "reply_to", "name"];
        cells.map(|name| word(tenant, name).to_owned()).to_vec()
    }));
    aligned(&rows, titles.len()).join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tenant_is_a_line() {
        let given = json!([
            {"slug": "joes-7k2f", "vendor": "operator", "status": "active", "standing": "active",
                "reply_to": "joe@joes.example", "name": "Joe's"},
            {"slug": "eva", "vendor": "wrench", "status": "active", "standing": "refused",
                "reply_to": "eva@eva.example", "name": "Eva & Söhne"},
        ]);
        let want = "\
tenant     vendor    status   reply to          name
joes-7k2f  operator  active   joe@joes.example  Joe's
eva        wrench    refused  eva@eva.example   Eva & Söhne";
        assert_eq!(tenant_list(&given), want);
        assert_eq!(tenant_list(&json!([])), "none");
    }
}
