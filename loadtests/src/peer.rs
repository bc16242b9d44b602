//! The peer that does the same work: Postfix with `OpenDKIM` before its queue, as Debian packs them.
//! The packages are fetched and unpacked, never installed; both programs run as children of this
//! one, with a configuration, a queue and ports of their own, and end with it.
//!
//! It is Debian's configuration but for what this takes: loopback addresses, a transport for each
//! of the sink's domains (its resolver cannot be led to the sink's DNS), no limit of connections
//! per client, nobody to look the client's name up with. It logs nowhere, as nobody listens at
//! `/dev/log` where it is measured in a container; the relay logs warnings only.

mod unpack;

use std::fmt::Write;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) use unpack::unpacked;

use crate::meter::Used;
use crate::relay::{HOST, free_address};
use crate::sink::{Sink, domain};
use crate::stock::OFFICES;

const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);
/// Accounts that every Debian has and that own nothing here: the queue's owner, who may be neither
/// root nor `nobody`, and the group that hands mail in.
const OWNER: (&str, u32) = ("daemon", 1);
const GROUP: (&str, u32) = ("mail", 8);
/// What the relay signs, and what of it once more (`postrider_message::dkim`).
const OVERSIGNED: &str = "From,Sender,Reply-To,To,Cc,Subject,Date,Message-ID,MIME-Version,\
    Content-Type,Content-Transfer-Encoding,List-Unsubscribe,List-Unsubscribe-Post,Feedback-ID";
const SIGNED_TOO: &str = "In-Reply-To,References,Content-Disposition,Content-ID,List-Id,List-Help,\
    List-Subscribe,List-Post,List-Owner,List-Archive,Auto-Submitted,CFBL-Address";
/// Folders of the queue that belong to its owner alone.
const OWNED: [&str; 11] = [
    "incoming", "active", "deferred", "hold", "bounce", "defer", "corrupt", "trace", "flush",
    "saved", "private",
];
/// Debian's services, without those that deliver to mailboxes; nothing runs chrooted, since a
/// chroot would have to be filled first.
const SERVICES: &str = "\
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
";

/// A running Postfix with its milter. Both end when it is dropped.
pub(crate) struct Peer {
    pub(crate) door: SocketAddr,
    master: Child,
    milter: Child,
    folder: TempDir,
}

impl Peer {
    /// Starts both on unpacked packages and waits until mail can be handed over.
    pub(crate) async fn start(packages: &Path, sink: &Sink) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("postfix-bench").tempdir()?;
        let place = Place {
            packages,
            home: folder.path(),
        };
        let door = free_address()?;
        place.make_queue()?;
        place.configure(door, sink)?;
        let milter = place.child("usr/sbin/opendkim", |command| {
            command.arg("-f").arg("-x").arg(place.home("opendkim.conf"))
        })?;
        let mut peer = Self {
            master: place.child("usr/lib/postfix/sbin/master", |command| {
                command.arg("-d").arg("-c").arg(place.home("conf"))
            })?,
            milter,
            door,
            folder,
        };
        peer.listens().await?;
        Ok(peer)
    }

    async fn listens(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            for (name, child) in [
                ("Postfix", &mut self.master),
                ("OpenDKIM", &mut self.milter),
            ] {
                if let Some(status) = child.try_wait()? {
                    let log = fs::read_to_string(self.folder.path().join("log"))?;
                    bail!("{name} ended, {status}: {}", log.trim());
                }
            }
            // The master listens at once; its smtpd greets, if it can be started.
            if let Ok(mut stream) = TcpStream::connect(self.door).await {
                let greeting = timeout(PATIENCE, stream.read_exact(&mut [0; 4])).await;
                let greeting = greeting.context("Postfix listens and does not greet")?;
                greeting.context("Postfix does not greet")?;
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("Postfix does not listen at {}", self.door)
    }

    /// What all its processes have used, those that have ended among them; the milter's too.
    pub(crate) fn used(&self) -> Used {
        Used::by_family(self.master.id()).plus(Used::by(self.milter.id()))
    }

    /// The processes that started all others.
    pub(crate) fn roots(&self) -> Vec<u32> {
        vec![self.master.id(), self.milter.id()]
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Postfix's master ends its services where it is asked to; they would see its death too.
        let pid = i32::try_from(self.master.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _gone = kill_process(pid, Signal::TERM);
        }
        let _gone = self.milter.kill();
        let _reaped = (self.master.wait(), self.milter.wait());
    }
}

/// Where its programs and its own files are.
struct Place<'a> {
    packages: &'a Path,
    home: &'a Path,
}

impl Place<'_> {
    fn home(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    fn libraries(&self) -> String {
        let library = |path: &str| self.packages.join(path).display().to_string();
        let machine = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        format!("{}:{}", library("usr/lib/postfix"), library(&machine))
    }

    /// A child that ends with this process however that ends.
    fn child(
        &self,
        program: &str,
        arguments: impl FnOnce(&mut Command) -> &mut Command,
    ) -> anyhow::Result<Child> {
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(self.packages.join(program))
            .env("LD_LIBRARY_PATH", self.libraries())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(
                File::options()
                    .create(true)
                    .append(true)
                    .open(self.home("log"))?,
            );
        let child = arguments(&mut command).spawn();
        child.context("setpriv of util-linux is needed")
    }

    /// As `postfix set-permissions` would leave it.
    fn make_queue(&self) -> anyhow::Result<()> {
        let make = |name: &str, mode: u32, owner: u32, group: u32| {
            let path = self.home(name);
            fs::create_dir(&path)?;
            chown(&path, Some(owner), Some(group))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
            anyhow::Ok(())
        };
        fs::set_permissions(self.home, fs::Permissions::from_mode(0o755))?;
        make("conf", 0o755, 0, 0)?;
        make("data", 0o700, OWNER.1, 0)?;
        make("queue", 0o755, 0, 0)?;
        make("queue/pid", 0o755, 0, 0)?;
        make("queue/public", 0o710, OWNER.1, GROUP.1)?;
        make("queue/maildrop", 0o730, OWNER.1, GROUP.1)?;
        for name in OWNED {
            make(&format!("queue/{name}"), 0o700, OWNER.1, 0)?;
        }
        Ok(())
    }

    fn configure(&self, door: SocketAddr, sink: &Sink) -> anyhow::Result<()> {
        fs::write(self.home("conf/main.cf"), self.main_cf())?;
        let listens = format!("{door} inet n - n - - smtpd\n");
        fs::write(self.home("conf/master.cf"), listens + SERVICES)?;
        let mut transports = String::new();
        for site in 0..sink.sites {
            let exchanger = crate::sink::exchanger(site, sink.port);
            let (address, port) = (exchanger.ip(), exchanger.port());
            writeln!(transports, "{} smtp:[{address}]:{port}", domain(site))?;
        }
        fs::write(self.home("conf/transport"), transports)?;
        let key = self.home("dkim.pem");
        let made = Command::new("openssl")
            .args(["genrsa", "-out"])
            .arg(&key)
            .arg("2048")
            .output()
            .context("openssl is needed for the peer's key")?;
        ensure!(made.status.success(), "openssl genrsa failed");
        fs::write(self.home("opendkim.conf"), self.opendkim_conf())?;
        Ok(())
    }

    fn main_cf(&self) -> String {
        let (home, packages) = (self.home.display(), self.packages.display());
        let (owner, group) = (OWNER.0, GROUP.0);
        let libraries = self.libraries();
        format!(
            "compatibility_level = 3.6\n\
             queue_directory = {home}/queue\n\
             data_directory = {home}/data\n\
             meta_directory = {home}/conf\n\
             daemon_directory = {packages}/usr/lib/postfix/sbin\n\
             command_directory = {packages}/usr/sbin\n\
             shlib_directory = {packages}/usr/lib/postfix\n\
             import_environment = MAIL_CONFIG TZ LD_LIBRARY_PATH={libraries}\n\
             mail_owner = {owner}\n\
             setgid_group = {group}\n\
             myhostname = {HOST}\n\
             mydestination =\n\
             alias_maps =\n\
             local_recipient_maps =\n\
             inet_interfaces = loopback-only\n\
             inet_protocols = ipv4\n\
             mynetworks = 127.0.0.0/8\n\
             smtpd_relay_restrictions = permit_mynetworks, reject\n\
             smtpd_peername_lookup = no\n\
             smtpd_client_connection_count_limit = 0\n\
             transport_maps = texthash:{home}/conf/transport\n\
             smtpd_milters = unix:private/opendkim\n\
             milter_default_action = tempfail\n"
        )
    }

    /// Debian's, and the fields that the relay signs; one RSA-2048 signature. It signs mail from its domain
    /// alone, and does not rewrite From: so it is that of the letters.
    fn opendkim_conf(&self) -> String {
        let home = self.home.display();
        format!(
            "Mode s\n\
             Background no\n\
             Syslog no\n\
             Socket local:{home}/queue/private/opendkim\n\
             UMask 000\n\
             Domain {OFFICES}\n\
             Selector bench\n\
             KeyFile {home}/dkim.pem\n\
             Canonicalization relaxed/relaxed\n\
             SignatureAlgorithm rsa-sha256\n\
             RequireSafeKeys no\n\
             SignHeaders {OVERSIGNED},{SIGNED_TOO}\n\
             OversignHeaders {OVERSIGNED}\n"
        )
    }
}
