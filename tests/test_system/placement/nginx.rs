//! nginx (Debian's), in front of one system.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tokio::net::TcpSocket;

use super::port;

/// Everything around what the documents say, and another product at every other path.
const CONFIGURATION: &str = include_str!("nginx.conf");
/// What the documents say.
const DOCUMENT: &str = include_str!("../../../docs/placing.md");
/// The host of the API, as the documents call it.
pub const API: &str = "connect-api.example.com";
/// By which it proves itself.
pub const SECRET: &str = "not-a-real-secret-of-the-proxy-beside-a-product";

/// The server, which is gone with it.
pub struct Nginx {
    port: u16,
    /// They keep the port until nginx has it, and listen to nobody.
    reserved: Vec<TcpSocket>,
    folder: PathBuf,
    process: Option<Child>,
}

impl Nginx {
    /// A port for it.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn reserve() -> Self {
        let (port, reserved) = (0..20).find_map(|_| both_of_localhost()).expect("a free port");
        let folder = std::env::temp_dir().join(format!("amble-nginx-{}-{port}", std::process::id()));
        Self { port, reserved, folder, process: None }
    }

    /// Where it is.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Starts it in front of the system at `address`, which speaks no TLS and has no name.
    pub(crate) fn start(&mut self, address: &str) {
        let here = format!("127.0.0.1:{}", port(address));
        self.start_with(|text| text.replace("https://$connect_api", "http://$connect_api").replace(API, &here));
    }

    /// Starts it as the documents have it, but for where the API is, and which authority certifies it.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_over_tls(&mut self, api: SocketAddr, authority: &Path) {
        let authority = authority.to_str().expect("a path that is text");
        let set = |host: &str| format!("set $connect_api {host};");
        self.start_with(|text| {
            let text = text.replace(&set(API), &set(&api.to_string()));
            text.replace("/etc/ssl/certs/ca-certificates.crt", authority)
        });
    }

    fn start_with(&mut self, here: impl Fn(&str) -> String) {
        fs::create_dir_all(&self.folder).expect("a folder");
        let folder = self.folder.to_str().expect("a path that is text");
        let [proxy, locations, secret] = documented();
        let proxy = format!("{proxy}{}", secret.replace("<secret>", SECRET));
        let locations = locations.replace("connect-proxy.conf", &format!("{folder}/connect-proxy.conf"));
        let ipv6 =
            if self.reserved.len() > 1 { format!("listen [::1]:{} reuseport;", self.port) } else { String::new() };
        let configuration = CONFIGURATION.replace("{folder}", folder).replace("{port}", &self.port.to_string());
        let configuration = configuration.replace("{ipv6}", &ipv6).replace("{locations}", &here(&locations));
        let file = self.folder.join("nginx.conf");
        fs::write(self.folder.join("connect-proxy.conf"), here(&proxy)).expect("a file");
        fs::write(&file, configuration).expect("a file");
        let errors = fs::File::create(self.folder.join("start.log")).expect("a file");
        let process = Command::new("nginx")
            .args([
                "-p",
                folder,
                "-e",
                &format!("{folder}/error.log"),
                "-c",
                file.to_str().expect("a path that is text"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn();
        self.process = Some(process.expect("nginx (Debian: nginx-light) starts"));
        // The machine's own time: that of a test may stand still.
        for _ in 0..1000 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("nginx does not listen: {}", fs::read_to_string(self.folder.join("error.log")).unwrap_or_default());
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The files of the documents: how requests are passed on, and which; and what the first has besides, to prove the proxy.
fn documented() -> [&'static str; 3] {
    let mut blocks = DOCUMENT.split("```nginx\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    std::array::from_fn(|_| blocks.next().expect("three of them"))
}

/// One port, of each address that `localhost` means on this machine.
fn both_of_localhost() -> Option<(u16, Vec<TcpSocket>)> {
    let ipv4 = TcpSocket::new_v4().ok()?;
    ipv4.set_reuseport(true).ok()?;
    ipv4.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).ok()?;
    let port = ipv4.local_addr().ok()?.port();
    let Ok(ipv6) = TcpSocket::new_v6() else { return Some((port, vec![ipv4])) };
    ipv6.set_reuseport(true).ok()?;
    match ipv6.bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))) {
        Ok(()) => Some((port, vec![ipv4, ipv6])),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => None,
        Err(_) => Some((port, vec![ipv4])),
    }
}
