//! A process from its start to its first answer.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use local::process::{Process, Program};

use crate::figures::{Cold, Spread};
use crate::quota::CpuQuota;
use crate::tls;

/// What a program was last given, and where.
pub(crate) struct LastInvocation {
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) event: String,
}

/// The memory whose shares of a processor are tried.
const MEMORY: [u32; 4] = [128, 256, 512, 1024];

/// Each program with a whole processor, without and with TLS, and with TLS at each share.
pub(crate) async fn measure(programs: &Path, invocations: &BTreeMap<String, LastInvocation>) -> Vec<Cold> {
    let mut measured = Vec::new();
    for (name, invocation) in invocations {
        let program = Program {
            binary: programs.join(name).join("bootstrap"),
            name: name.clone(),
            function: name.clone(),
            variables: invocation.variables.clone(),
            on_line: Arc::new(|_| {}),
        };
        measured.push(measure_starts(&program, &invocation.event, None, false, 20).await);
        let authority = std::env::temp_dir().join(format!("benchmark-{}-{name}.pem", std::process::id()));
        let secured = Program { variables: secured(&invocation.variables, &authority).await, ..program };
        measured.push(measure_starts(&secured, &invocation.event, None, true, 20).await);
        for memory in MEMORY {
            let Some(quota) = CpuQuota::of_memory(memory) else {
                eprintln!("no shares of a processor: that takes root and the kernel's CPU controller");
                break;
            };
            measured.push(measure_starts(&secured, &invocation.event, Some((memory, &quota)), true, 10).await);
        }
    }
    measured
}

async fn measure_starts(
    program: &Program,
    event: &str,
    quota: Option<(u32, &CpuQuota)>,
    tls: bool,
    times: usize,
) -> Cold {
    let (mut start, mut first) = (Vec::new(), Vec::new());
    for _ in 0..times {
        let mut process = Process::start(program).await.expect("it starts");
        if let (Some((_, quota)), Some(pid)) = (quota, process.pid()) {
            quota.add_process(pid);
        }
        start.push(process.idle().await.expect("it asks").as_secs_f64() * 1e6);
        let handed = Instant::now();
        process.invoke(event.to_owned()).await.unwrap_or_else(|error| panic!("{}: {error}", program.name));
        first.push(handed.elapsed().as_secs_f64() * 1e6);
    }
    Cold {
        program: program.name.clone(),
        memory: quota.map(|(memory, _)| memory),
        tls,
        starts: times,
        start: Spread::of(start),
        first: Spread::of(first),
    }
}

/// The same variables, the services behind TLS.
async fn secured(variables: &BTreeMap<String, String>, authority: &Path) -> BTreeMap<String, String> {
    let mut secured = variables.clone();
    for name in ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_KMS"] {
        if let Some(plain) = variables.get(name) {
            let own = authority.with_extension(name);
            secured.insert(name.to_owned(), tls::proxy_to(plain, &own).await);
            let trusted = std::fs::read(&own).expect("the authority");
            let before = std::fs::read(authority).unwrap_or_default();
            std::fs::write(authority, [before, trusted].concat()).expect("the authorities");
        }
    }
    secured.insert("SSL_CERT_FILE".to_owned(), authority.to_str().expect("a path that is text").to_owned());
    secured
}
