//! `psql`, held open: a connection that somebody else has to the database.

use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::harness::until;
use crate::house::Fleet;

/// An open connection. Ends with this value.
pub(crate) struct Shell {
    child: Child,
    input: ChildStdin,
    output: std::path::PathBuf,
}

impl Shell {
    /// Connects, and says this.
    pub(crate) fn open(fleet: &Fleet, name: &str, said: &str) -> Self {
        let output = fleet.place.folder.join(name);
        let file = std::fs::File::create(&output).unwrap();
        let mut child = Command::new("psql")
            .args(["-qAtX", fleet.database.url()])
            .stdin(Stdio::piped())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut shell = Self {
            child,
            input,
            output,
        };
        shell.say(said);
        shell
    }

    /// A pipe that is broken is a connection that was refused.
    pub(crate) fn say(&mut self, said: &str) {
        let _refused = self.input.write_all(format!("{said}\n").as_bytes());
    }

    /// What came back, once this is in it.
    pub(crate) async fn answers(&self, wanted: &str) -> String {
        until(&format!("psql: {wanted}"), async || {
            let text = self.printed();
            text.contains(wanted).then_some(text)
        })
        .await
    }

    pub(crate) fn printed(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
