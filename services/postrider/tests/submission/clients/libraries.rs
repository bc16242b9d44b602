//! Libraries that programs send with: a script for each, which gets the form as JSON.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::clients::{COMMON, Form, TEXT, each};
use crate::harness::tools::{installed, missing};
use crate::scene::Scene;

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/submission/clients")
        .join(name)
}

fn given(scene: &Scene, form: Form, to: &str) -> String {
    json!({
        "host": form.server(scene).ip(), "port": form.server(scene).port(), "ca": scene.ca(),
        "tls": form.tls(), "auth": form.auth(),
        "user": scene.user, "password": form.password(scene),
        "from": "boss@scene.test", "to": to, "subject": "Kostenvoranschlag", "text": TEXT,
    })
    .to_string()
}

/// Those of which the mechanism can be chosen against what the server offers.
fn all() -> Vec<Form> {
    [COMMON.as_slice(), &[Form::CramMd5, Form::UserOnly]].concat()
}

#[tokio::test]
async fn smtplib_of_python_sends_in_every_mode_and_shows_what_to_change() {
    each("smtplib", &all(), |scene, form, to| {
        let mut python = Command::new("python3");
        python.arg(script("smtplib_send.py"));
        python.arg(given(scene, form, to));
        python
    })
    .await;
}

#[tokio::test]
async fn aiosmtplib_sends_in_every_mode_and_shows_what_to_change() {
    let Some(python) = installed("clients/bin/python") else {
        return missing("aiosmtplib: .ci/tools, which needs python3-venv and PyPI");
    };
    each("aiosmtplib", &COMMON, |scene, form, to| {
        let mut python = Command::new(&python);
        python.arg(script("aiosmtplib_send.py"));
        python.arg(given(scene, form, to));
        python
    })
    .await;
}

#[tokio::test]
async fn nodemailer_sends_in_every_mode_and_shows_what_to_change() {
    let modules = script("node/node_modules/nodemailer");
    let Some(node) = installed("sdk/bin/node").filter(|_| modules.exists()) else {
        return missing("nodemailer: .ci/tools, which needs node 20 and npm, or python3-venv");
    };
    let forms = [COMMON.as_slice(), &[Form::CramMd5]].concat();
    each("nodemailer", &forms, |scene, form, to| {
        let mut command = Command::new(&node);
        command.arg(script("node/send.mjs"));
        command.arg(given(scene, form, to));
        command.env("NODE_EXTRA_CA_CERTS", scene.ca());
        command
    })
    .await;
}

#[tokio::test]
async fn phpmailer_sends_in_every_mode_and_shows_what_to_change() {
    let library = installed("mail/usr/share/php/libphp-phpmailer/src");
    let program = installed("mail/usr/bin/php8.2");
    let (Some(library), Some(program)) = (library, program) else {
        return missing("PHPMailer: .ci/tools, which unpacks it and PHP from Debian's packages");
    };
    let extensions = installed("mail/usr/lib/php/20220829").unwrap();
    let libraries = installed("mail/usr/lib/x86_64-linux-gnu").unwrap();
    each("phpmailer", &COMMON, |scene, form, to| {
        let mut php = Command::new(&program);
        php.env("LD_LIBRARY_PATH", &libraries);
        php.args(["-n", "-d", "extension=ctype", "-d"]);
        php.arg(format!("extension_dir={}", extensions.display()));
        php.arg(script("phpmailer_send.php"));
        php.arg(given(scene, form, to)).arg(&library);
        php
    })
    .await;
}

#[tokio::test]
async fn javamail_sends_in_every_mode_and_shows_what_to_change() {
    let jars = installed("mail/usr/share/java");
    let listed = Command::new("java").arg("--list-modules").output();
    let compiles = |printed: Vec<u8>| String::from_utf8_lossy(&printed).contains("jdk.compiler");
    let has = listed.is_ok_and(|output| compiles(output.stdout));
    let (Some(jars), true) = (jars, has) else {
        return missing("JavaMail: .ci/tools, and a JDK (apt-get install default-jdk-headless)");
    };
    each("javamail", &COMMON, |scene, form, to| {
        let mut java = Command::new("java");
        let jar = |name: &str| jars.join(name).display().to_string();
        let path = [jar("javax.mail.jar"), jar("javax.activation.jar")].join(":");
        java.args(["-Xmx128m", "-XX:TieredStopAtLevel=1", "--class-path", &path]);
        java.arg(script("Send.java"));
        let server = form.server(scene);
        let (host, port) = (server.ip().to_string(), server.port().to_string());
        for word in [&host, &port, form.tls(), form.auth()] {
            java.arg(word);
        }
        java.args([
            &scene.user,
            form.password(scene),
            "boss@scene.test",
            to,
            TEXT,
        ]);
        java.arg(scene.ca());
        java
    })
    .await;
}
