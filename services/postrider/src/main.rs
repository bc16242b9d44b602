//! The binary. Everything it does is in the library, so that tests can call it too.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

// infra/adr/0020-jemalloc.md.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    postrider::main()
}
