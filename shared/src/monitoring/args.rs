//! The flags for monitoring.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::Args;

/// The flags for monitoring.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Monitoring")]
pub struct MonitoringArgs {
    /// Address for /metrics, /healthz and /readyz, and in a consumer a status page at /: a port on 127.0.0.1 such as 9464, or an
    /// address such as 0.0.0.0:9464 [default: off]
    #[arg(long, env = "CATALOG_METRICS_ADDR", value_parser = address, value_name = "ADDRESS")]
    pub metrics_addr: Option<SocketAddr>,
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    let port = text.parse().ok().map(|port: u16| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    port.or_else(|| text.parse().ok())
        .ok_or("expected a port such as 9464 (on 127.0.0.1), or an address such as 0.0.0.0:9464 or [::]:9464")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_one_of_the_loopback_address() {
        assert_eq!(address("9464").unwrap().to_string(), "127.0.0.1:9464");
        assert_eq!(address("0.0.0.0:9464").unwrap().to_string(), "0.0.0.0:9464");
        assert_eq!(address("[::]:0").unwrap().to_string(), "[::]:0");
        for refused in ["", "70000", ":9464", "localhost", "off", "127.0.0.1"] {
            assert!(address(refused).is_err(), "{refused}");
        }
    }
}
