//! What every service needs of the machine: the clock, randomness, shutdown, open files, threads for
//! long work, and the points where a test may end the process. No mail here, no I/O.

mod apart;
mod clock;
pub mod failpoint;
mod files;
mod rng;
mod shutdown;

pub use apart::{Stopped, apart};
pub use clock::Clock;
pub use files::raise_open_files;
pub use rng::Rng;
pub use shutdown::Shutdown;
