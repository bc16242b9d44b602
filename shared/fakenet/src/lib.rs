//! A small internet in one process: DNS in which every domain resolves, mail exchangers that do
//! what their script says, a CA for their STARTTLS, and a mailbox of what they received. For the
//! sandbox command, tests and loadtests; nothing of it leaves 127.0.0.0/8.
//!
//! `net` starts it. A question goes `dns` → `world` (what holds by itself) or `zone` (what a test
//! said); the address it gives is an `exchanger`'s out of `town`, which plays a `script` and fills
//! the `mailbox`. A `simulator` is one exchanger alone, for a relay that serves. What is *not* here: delivery, or anything else that opens connections.

mod authority;
mod dns;
mod door;
mod exchanger;
mod habits;
mod mailbox;
mod net;
mod network;
mod ports;
mod script;
mod simulator;
mod town;
mod world;
mod zone;

pub use authority::{AuthorityError, Issued, LeafKey};
pub use dns::{Answer, Answers, Kind};
pub use door::mailbox_door;
pub use exchanger::{Counts, Exchanger};
pub use mailbox::{Entry, Mailbox, Received};
pub use net::{FakeInternet, Options, StartError};
pub use network::OwnNetwork;
pub use script::{Act, Certificate, Feature, Gate, LARGEST_MESSAGE, Phase, Script};
pub use simulator::{Simulator, SimulatorError};
pub use zone::Zone;
