//! What every service needs of the machine: the clock, randomness, shutdown, and the points
//! where a test may end the process. No mail here, no I/O.

mod clock;
pub mod failpoint;
mod rng;
mod shutdown;

pub use clock::Clock;
pub use rng::Rng;
pub use shutdown::Shutdown;
