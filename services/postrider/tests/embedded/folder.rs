//! One folder, one database, one relay.

use std::path::Path;

use tempfile::TempDir;

use crate::harness::process::run;
use crate::harness::{Answer, Database, Sandbox};

#[tokio::test]
async fn two_relays_in_one_folder_are_one_too_many() {
    let sandbox = Sandbox::on(Database::file()).await;
    let config = sandbox.place.config();
    let second = run([Path::new("serve"), "--config".as_ref(), &config]);
    assert_eq!(second.status.code(), Some(1));
    let fault = String::from_utf8(second.stderr).unwrap();
    assert!(fault.contains("database"), "{fault}");
    let answer: Answer = sandbox.place.http.get("/readyz").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_database_that_is_gone_is_never_replaced_by_an_empty_one() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("relay");
    let data = data.to_str().unwrap();
    assert!(run(["init", data]).status.success());
    std::fs::remove_file(folder.path().join("relay/postrider.db")).unwrap();
    let gone = run(["tenant", "list", "--data", data]);
    let fault = String::from_utf8(gone.stderr).unwrap();
    assert!(fault.contains("there is no database"), "{fault}");
    assert!(!folder.path().join("relay/postrider.db").exists());
}
