//! What the internet sees of a running relay: port 25, and whether mail may leave.

use std::sync::Arc;
use std::time::Duration;

use postrider_dns::Resolver;
use postrider_fakenet::Simulator;
use postrider_runtime::Shutdown;

use super::{Machine, Relay, done, listen};
use crate::config::{Config, Dial};
use crate::core::Core;
use crate::doctor::{Doctor, Gauges, Held, Watch, keep_examining};
use crate::inbound::{self, Inbound};

/// How long delivery waits for the doctor's first look.
const FIRST_LOOK: Duration = Duration::from_secs(10);

/// What delivery works with, and the simulator that ends behind it.
pub(super) type Attempts = (
    postrider_delivery::Ports,
    postrider_delivery::Config,
    Option<Simulator>,
);

impl Relay {
    /// Answers for the service's own domains.
    pub(super) fn start_inbound(
        &mut self,
        config: &Config,
        machine: &Machine,
    ) -> anyhow::Result<()> {
        if !config.inbound.enabled {
            return Ok(());
        }
        let service = config.service();
        let inbound = Arc::new(Inbound {
            domains: vec![
                service.host.clone(),
                service.send_domain,
                service.bounce_domain,
            ],
            host: service.host,
        });
        for address in &config.inbound.listen {
            let listener = listen("inbound.listen", *address, machine)?;
            let serving = inbound::serve(listener, Arc::clone(&inbound), self.shutdown.clone());
            self.spawn("inbound", done(serving));
        }
        Ok(())
    }

    /// Delivers once it is known whether mail may leave; what cannot leave this machine need not be
    /// asked after.
    pub(super) fn start_attempts(
        &mut self,
        config: &Config,
        core: &Core,
        machine: &Machine,
        (ports, mut delivery, simulator): Attempts,
    ) {
        let gauges = Gauges::new(&core.metrics);
        let examined = match config.delivery.dial {
            Dial::Loopback => None,
            Dial::Internet => {
                let resolver: Resolver = ports.resolver.clone();
                let doctor = Doctor::new(config.clone(), resolver, machine.clock.clone());
                let (watch, held) = Watch::new(doctor, Arc::clone(&core.office), gauges);
                let Held { way_out, examined } = held;
                delivery.way_out = way_out;
                let shutdown = self.shutdown.clone();
                let runtime = tokio::runtime::Handle::current();
                // On a thread of its own: it writes and syncs files, and nobody waits for it.
                let looking = tokio::task::spawn_blocking(move || {
                    runtime.block_on(keep_examining(watch, shutdown));
                });
                self.spawn("doctor", async move { looking.await.map_err(Into::into) });
                Some(examined)
            }
        };
        // A relay is started once.
        let _again = core.office.way_out.set(delivery.way_out.clone());
        let shutdown: Shutdown = self.shutdown.clone();
        let despite = config.delivery.despite_findings;
        self.spawn("delivery", async move {
            if let Some(examined) = examined.filter(|_| !despite) {
                tokio::select! {
                    biased;
                    () = shutdown.begun() => return Ok(()),
                    // Ends with its sender, too.
                    _ = examined => {}
                    // What stays on this machine goes on; what would leave it is told to wait.
                    () = tokio::time::sleep(FIRST_LOOK) => {}
                }
            }
            let ended = postrider_delivery::run(ports, delivery, shutdown).await;
            // What was under way there had its answer.
            if let Some(simulator) = simulator {
                simulator.shutdown().await;
            }
            ended.map_err(super::with_remedy)
        });
    }
}
