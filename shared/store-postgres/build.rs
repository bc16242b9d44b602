//! Builds anew when a migration is added: `migrate!` reads the folder only while compiling.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/postgres");
}
