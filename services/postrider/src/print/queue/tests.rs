use serde_json::json;

use super::*;

#[test]
fn a_verb_about_the_queue_is_answered_in_sentences() {
    let late = json!({"changed": 1, "too_late": ["a", "b"], "not_answered": ["n1", "n2"]});
    let want = "1 recipient cancelled.\n2 recipients too late: it may have been sent already.\nNo answer yet from n1, n2: see `postrider nodes`.";
    assert_eq!(queue(QueueAct::Cancel, &late), want);
    let none = json!({"changed": 0, "too_late": [], "not_answered": [], "resealed": 3});
    let want = "0 recipients released.\nMessages signed anew: 3.";
    assert_eq!(queue(QueueAct::Release, &none), want);
}

#[test]
fn a_retry_says_what_does_not_leave_all_the_same_and_why_nothing_was_to_hurry() {
    let held_by = json!([{"recipients": 2, "held_by": ["vendor"],
        "for": "its vendor wrench is suspended", "release": ["postrider vendor resume wrench"]}]);
    let given = json!({"changed": 2, "due": 2, "scheduled": 0, "held": 0, "held_by": held_by});
    let want = "2 recipients due now, but they do not leave, for its vendor wrench is suspended. `postrider vendor resume wrench` lets it go.";
    assert_eq!(queue(QueueAct::RetryNow, &given), want);
    let given = json!({"changed": 0, "due": 3, "scheduled": 1, "held": 4, "held_by": held_by});
    let said = queue(QueueAct::RetryNow, &given);
    let lines: Vec<_> = said.lines().skip(2).collect();
    let want = [
        "1 recipient: due already, and wait for their turn.",
        "1 recipient: scheduled by their senders for later: that is not hurried.",
        "4 recipients: held: `postrider queue release` sends them on.",
    ];
    assert_eq!(lines, want);
    let none = json!({"changed": 0, "due": 0, "scheduled": 0, "held": 0, "held_by": []});
    assert_eq!(
        queue(QueueAct::RetryNow, &none),
        "0 recipients due now.\nNothing waits there."
    );
}

#[test]
fn a_count_that_was_cut_is_told_as_at_least_so_much() {
    let held_by = json!([{"recipients": 100_000, "held_by": ["key"],
        "for": "the key 03 that it came in by is suspended", "release": ["postrider key resume 03"]}]);
    let mut given = json!({"changed": 250_000, "due": 100_000, "scheduled": 0, "held": 0,
        "held_by": held_by, "more": true, "perhaps_held": 0});
    let want = "250000 recipients due now.\nOf what is due there, at least 100000 recipients do not leave, for the key 03 that it came in by is suspended. `postrider key resume 03` lets it go.";
    assert_eq!(queue(QueueAct::RetryNow, &given), want);
    (given["changed"], given["held_by"], given["due"]) = (json!(0), json!([]), json!(0));
    let said = queue(QueueAct::RetryNow, &given);
    assert!(said.ends_with("behind those nobody looked."), "{said}");
    (given["changed"], given["perhaps_held"]) = (json!(7), json!(3));
    given["perhaps_release"] = json!(["postrider reply confirm eva ann@eva.example"]);
    let said = queue(QueueAct::RetryNow, &given);
    let way = "`postrider reply confirm eva ann@eva.example` lets it go.";
    assert!(said.ends_with(way), "{said}");
}

#[test]
fn each_command_that_lets_go_of_what_waits_is_told_once() {
    let line = |held_by: Value, release: Value| {
        json!({"tenant": "eva", "vendor": "wrench", "cause": "turn", "recipients": 2,
            "why": "for reasons", "held_by": held_by, "release": release})
    };
    let (key, vendor) = ("postrider key resume 03", "postrider vendor resume wrench");
    let held = line(json!([]), json!(["postrider queue release --tenant eva"]));
    let mut given = json!({
        "suspensions": [], "suspended_vendors": ["wrench"], "suspended_tenants": [],
        "waiting": {"recipients": 6, "more": false, "left_out": 0, "lines": [
            line(json!(["vendor", "key"]), json!([vendor, key])),
            line(json!(["key"]), json!([key])), held,
        ]},
    });
    let said = queue_list(&given);
    let want = "\n\n`postrider key resume 03` lets it go.\n`postrider queue release --tenant eva` lets it go.";
    assert!(said.ends_with(want), "{said}");
    given["suspended_vendors"] = json!([]);
    let said = queue_list(&given);
    assert!(said.starts_with("6 recipients wait."), "{said}");
    assert!(
        said.contains("`postrider vendor resume wrench` lets it go."),
        "{said}"
    );
    let slugs: Vec<_> = (0..3_420).map(|n| format!("t{n}")).collect();
    given["suspended_tenants"] = json!(slugs);
    let said = queue_list(&given);
    let bound = "3400 more tenants are suspended: `postrider tenant list` names them.";
    assert!(said.contains(bound), "{said}");
}

#[test]
fn what_waits_is_a_table_below_what_is_stopped() {
    let given = json!({
        "suspensions": [{"tenant": "eva", "since": "2026-11-22T11:21:28.000000Z"}],
        "suspended_vendors": ["wrench"], "suspended_tenants": [], "closed": null,
        "waiting": {"recipients": 1204, "more": false, "left_out": 0, "lines": [
            {"tenant": "eva", "vendor": "wrench", "cause": "turn", "recipients": 1200,
                "why": "its vendor wrench is suspended"},
            {"tenant": "joes", "vendor": "operator", "cause": "retry", "recipients": 4,
                "why": "the recipient's server said «later»"},
        ]},
    });
    let want = "\
The queue of the tenant eva is suspended since 2026-11-22 11:21:28 UTC: `postrider queue resume --tenant eva` ends it.
The vendor wrench is suspended: `postrider vendor resume wrench` ends it.

1204 recipients wait.

tenant  vendor    cause  recipients  why
eva     wrench    turn         1200  its vendor wrench is suspended
joes    operator  retry           4  the recipient's server said «later»";
    assert_eq!(queue_list(&given), want);
    let empty = json!({"suspensions": [], "waiting": {"recipients": 0, "lines": []}});
    assert_eq!(
        queue_list(&empty),
        "Nothing is suspended.\n\nNothing waits."
    );
}

#[test]
fn what_the_doctor_found_is_told_once_where_the_line_does_not_say_it() {
    let mut given = json!({
        "suspensions": [], "closed": null,
        "waiting": {"recipients": 7, "more": false, "left_out": 0, "lines": [
            {"tenant": "eva", "vendor": "wrench", "cause": "no_route", "recipients": 7,
                "why": "doctor", "held_by": ["doctor"], "release": ["postrider doctor"]},
        ]},
    });
    let said = queue_list(&given);
    let end = "doctor: nothing may leave this relay, or DNS has just not told where its mail goes.\n`postrider doctor` says what to mend.";
    assert!(said.ends_with(end), "{said}");
    given["closed"] = json!("no PTR of 192.0.2.1");
    let said = queue_list(&given);
    assert_eq!(said.matches("no PTR").count(), 1, "{said}");
    assert_eq!(said.matches("nothing may leave").count(), 0, "{said}");
}
