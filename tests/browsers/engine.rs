//! The three engines that people's browsers are made of, each with the driver that Debian or its maker has for it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::webdriver::Session;
use crate::script::at;

/// An engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// Of Chrome and Edge.
    Chromium,
    /// Gecko.
    Firefox,
    /// Of Safari; here in GNOME's smallest browser.
    WebKit,
}

/// A browser, its driver and its screen. They end in this order.
pub(crate) struct Running {
    pub(crate) session: Session,
    _driver: Child,
    _screen: Option<Child>,
}

impl Engine {
    /// Starts the browser. All that it sends goes to `proxy`.
    pub(crate) async fn start(self, http: &reqwest::Client, proxy: SocketAddr) -> Running {
        const TRIES: usize = 3;
        let (screen, display) = if self == Self::WebKit { screen().await } else { (None, String::new()) };
        for _ in 0..TRIES {
            let address = free_address();
            let mut command = Command::new(self.driver());
            command.arg(format!("--port={}", address.port())).args(self.arguments());
            let quiet = command.env("DISPLAY", &display).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
            let mut driver = quiet.spawn().unwrap_or_else(|error| {
                panic!("{} does not start; tests/run installs it: {error}", self.driver().display())
            });
            if listens(&mut driver, http, address).await {
                let session = Session::begin(http.clone(), address, &self.wanted(proxy)).await;
                let session = session.unwrap_or_else(|refused| panic!("{self:?} does not start: {refused}"));
                return Running { session, _driver: driver, _screen: screen };
            }
        }
        panic!("the driver of {self:?} does not listen")
    }

    fn driver(self) -> PathBuf {
        match self {
            Self::Chromium => "/usr/bin/chromedriver".into(),
            Self::Firefox => at("target/tools/bin/geckodriver"),
            Self::WebKit => "/usr/bin/WebKitWebDriver".into(),
        }
    }

    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Chromium | Self::WebKit => &[],
            Self::Firefox => &["--websocket-port=0", "--log=fatal"],
        }
    }

    /// What its driver is asked for. By themselves, browsers go past a proxy to what is on their own machine.
    fn wanted(self, proxy: SocketAddr) -> Value {
        let (name, options) = match self {
            Self::Chromium => (
                "goog:chromeOptions",
                json!({ "binary": chromium(), "args": [
                    "--headless",
                    "--no-sandbox", // does not work for root, and there is nobody here to be kept out
                    "--disable-gpu",
                    "--disable-background-networking",
                    "--proxy-bypass-list=<-loopback>",
                    "--window-size=1280,900",
                ] }),
            ),
            Self::Firefox => (
                "moz:firefoxOptions",
                json!({ "binary": "/usr/bin/firefox-esr", "args": ["-headless"], "prefs": {
                    "network.proxy.allow_hijacking_localhost": true,
                    // It asks for news every tenth of a second when it gets none.
                    "services.settings.server": "data:,",
                } }),
            ),
            Self::WebKit => ("webkitgtk:browserOptions", json!({ "binary": mini_browser(), "args": ["--automation"] })),
        };
        let proxy = json!({ "proxyType": "manual", "httpProxy": proxy.to_string(), "sslProxy": proxy.to_string() });
        json!({ "acceptInsecureCerts": true, "proxy": proxy, "timeouts": { "pageLoad": 20_000 }, name: options })
    }
}

/// A screen of its own, and its name: `WebKit` has no mode without one.
async fn screen() -> (Option<Child>, String) {
    const TIMEOUT: Duration = Duration::from_secs(20);
    let mut command = Command::new("/usr/bin/Xvfb");
    command.args(["-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]);
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut screen = quiet.spawn().expect("Xvfb, which tests/run installs");
    let mut lines = BufReader::new(screen.stdout.take().expect("its output")).lines();
    let number = timeout(TIMEOUT, lines.next_line()).await.expect("Xvfb starts").expect("its output");
    (Some(screen), format!(":{}", number.expect("a number")))
}

/// Whether the driver is there before it ends or a while has passed: somebody else may have taken the port.
async fn listens(driver: &mut Child, http: &reqwest::Client, address: SocketAddr) -> bool {
    for _ in 0..200 {
        if driver.try_wait().expect("a process").is_some() {
            return false;
        }
        if http.get(format!("http://{address}/status")).send().await.is_ok() {
            return true;
        }
        sleep(Duration::from_millis(50)).await;
    }
    false
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address")
}

fn chromium() -> String {
    #[expect(clippy::disallowed_methods, reason = "it is of whoever runs the tests")]
    std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned())
}

/// Where Debian has it: in a folder of the processor.
fn mini_browser() -> PathBuf {
    let processor = PathBuf::from(format!("/usr/lib/{}-linux-gnu/webkit2gtk-4.1/MiniBrowser", std::env::consts::ARCH));
    assert!(processor.exists(), "MiniBrowser, which tests/run installs, is not at {}", processor.display());
    processor
}
