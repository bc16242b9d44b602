//! The binary. Everything it does is in the library, so that tests can call it too.

use std::process::ExitCode;

fn main() -> ExitCode {
    postrider::main()
}
