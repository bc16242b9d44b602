//! Programs for the command line.

use std::io::Write;
use std::process::Command;

use crate::clients::{COMMON, Form, each, message};
use crate::harness::tools::{installed, missing};
use crate::scene::Scene;

fn is_there(program: &str) -> bool {
    let ran = Command::new(program).arg("--version").output();
    ran.is_ok_and(|output| output.status.success())
}

/// The whole message as a file, which stays until the test's end.
fn file(scene: &Scene, form: Form, to: &str) -> String {
    let name = format!("{}-{form:?}.eml", scene.word);
    let path = scene.place.folder.join(name);
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(message(to).as_bytes()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn swaks_sends_in_every_mode_and_shows_what_to_change() {
    if !is_there("swaks") {
        return missing("swaks: apt-get install swaks libnet-ssleay-perl");
    }
    let forms = [COMMON.as_slice(), &[Form::UserOnly]].concat();
    each("swaks", &forms, |scene, form, to| {
        let mut swaks = Command::new("swaks");
        let (server, ca) = (form.server(scene).to_string(), scene.ca());
        swaks.args(["--server", &server, "--from", "boss@scene.test", "--to", to]);
        swaks.args(["--data", &format!("@{}", file(scene, form, to))]);
        match form.tls() {
            "implicit" => drop(swaks.arg("-tlsc")),
            "starttls" => drop(swaks.arg("-tls")),
            _ => {}
        }
        if form.tls() != "none" {
            swaks.args(["--tls-verify", "--tls-ca-path", ca.to_str().unwrap()]);
        }
        if form.auth() != "none" {
            let (mechanism, password) = (form.auth().to_uppercase(), form.password(scene));
            swaks.args(["--auth", &mechanism, "--auth-user", &scene.user]);
            // swaks asks at a terminal for a password that is empty.
            let password = if password.is_empty() { "<>" } else { password };
            swaks.args(["--auth-password", password]);
        }
        swaks
    })
    .await;
}

#[tokio::test]
async fn curl_sends_in_every_mode_and_shows_what_to_change() {
    if !is_there("curl") {
        return missing("curl: apt-get install curl");
    }
    each("curl", &COMMON, |scene, form, to| {
        let mut curl = Command::new("curl");
        let scheme = if form.tls() == "implicit" {
            "smtps"
        } else {
            "smtp"
        };
        let url = format!("{scheme}://{}/vm", form.server(scene));
        curl.args(["-q", "--silent", "--show-error", "--verbose", "--url", &url]);
        curl.args(["--mail-from", "boss@scene.test", "--mail-rcpt", to]);
        curl.args(["--upload-file", &file(scene, form, to), "--ipv4"]);
        curl.args(["--cacert", scene.ca().to_str().unwrap(), "--noproxy", "*"]);
        if form.tls() == "starttls" {
            curl.arg("--ssl-reqd");
        }
        if form.auth() != "none" {
            let user = format!("{}:{}", scene.user, form.password(scene));
            curl.args(["--user", &user]);
            curl.args([
                "--login-options",
                &format!("AUTH={}", form.auth().to_uppercase()),
            ]);
        }
        curl
    })
    .await;
}

#[tokio::test]
async fn msmtp_sends_in_every_mode_and_shows_what_to_change() {
    let unpacked = installed("mail/usr/bin/msmtp").map(|path| path.canonicalize().unwrap());
    let Some(program) = unpacked.or_else(|| is_there("msmtp").then(|| "msmtp".into())) else {
        return missing("msmtp: .ci/tools, which unpacks it from Debian's packages");
    };
    let libraries = installed("mail/usr/lib/x86_64-linux-gnu");
    each("msmtp", &COMMON, |scene, form, to| {
        // It reads the message from its standard input.
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"file=$1; shift; exec "$@" < "$file""#, "sh"]);
        shell.arg(file(scene, form, to)).arg(&program);
        if let Some(libraries) = &libraries {
            shell.env("LD_LIBRARY_PATH", libraries);
        }
        let is = |yes: bool| if yes { "on" } else { "off" };
        shell.args([
            "--file=/dev/null",
            &format!("--host={}", form.server(scene).ip()),
            "--from=boss@scene.test",
        ]);
        shell.arg(format!("--port={}", form.server(scene).port()));
        shell.arg(format!("--tls={}", is(form.tls() != "none")));
        if form.tls() != "none" {
            shell.arg(format!("--tls-starttls={}", is(form.tls() == "starttls")));
            shell.arg(format!("--tls-trust-file={}", scene.ca().display()));
        }
        if form.auth() != "none" {
            shell.arg(format!("--auth={}", form.auth()));
            shell.arg(format!("--user={}", scene.user));
            shell.arg(format!("--passwordeval=echo {}", form.password(scene)));
        }
        shell.arg(to);
        shell
    })
    .await;
}

#[tokio::test]
async fn s_nail_sends_in_every_mode_and_shows_what_to_change() {
    let Some(program) = installed("mail/usr/bin/s-nail") else {
        return missing("s-nail: .ci/tools, which unpacks it from Debian's packages");
    };
    let libraries = installed("mail/usr/lib/x86_64-linux-gnu").unwrap();
    each("s-nail", &COMMON, |scene, form, to| {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            r#"text=$1; shift; printf '%s\n' "$text" | "$@""#,
            "sh",
        ]);
        shell.arg(crate::clients::TEXT).arg(&program);
        shell.env("LD_LIBRARY_PATH", &libraries);
        shell.env("HOME", &scene.place.folder);
        let scheme = if form.tls() == "implicit" {
            "smtps"
        } else {
            "smtp"
        };
        let server = form.server(scene);
        let mut set = vec!["v15-compat".to_owned(), "sendwait".to_owned()];
        // What is refused would be kept in the home folder.
        set.extend(["nosave".to_owned(), "from=boss@scene.test".to_owned()]);
        // It looks for names in certificates, and not for addresses; the others check what they meet.
        set.extend([
            "tls-verify=ignore".to_owned(),
            "tls-ca-no-defaults".to_owned(),
        ]);
        set.push(format!("tls-ca-file={}", scene.ca().display()));
        if form.tls() == "starttls" {
            set.push("smtp-use-starttls".to_owned());
        }
        set.push(format!("smtp-auth={}", form.auth()));
        let user = match form.auth() {
            "none" => String::new(),
            _ => format!("{}:{}@", scene.user, form.password(scene)),
        };
        set.push(format!("mta={scheme}://{user}{server}"));
        shell.args(["-:/", "-v"]);
        shell.args(set.iter().flat_map(|one| ["-S", one.as_str()]));
        shell.args(["-s", "Kostenvoranschlag", to]);
        shell
    })
    .await;
}
