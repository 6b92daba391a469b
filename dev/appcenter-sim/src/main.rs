//! A simulator of App Center, run as a program.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use appcenter_sim::{DEFAULT_TOKEN, Mode, Options, Sim, Token, World};
use clap::Parser;

/// A simulator of Visual Studio App Center on the loopback address.
#[derive(Debug, Parser)]
struct Args {
    /// Port of the API; 0 for any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Port of the host that downloads come from; 0 for any free one.
    #[arg(long, default_value_t = 0)]
    downloads_port: u16,
    /// World file (TOML); the demo world when left out.
    #[arg(long)]
    world: Option<PathBuf>,
    /// Accepted API token.
    #[arg(long, default_value = DEFAULT_TOKEN, hide_default_value = true)]
    token: String,
    /// Milliseconds between two steps of the exporter; 0: only on POST /_sim/tick.
    #[arg(long, default_value_t = 1000)]
    tick_millis: u64,
    /// Calls that the token may make in 300 seconds; 0: any number.
    #[arg(long, default_value_t = 0)]
    rate_limit: usize,
    /// Subscriptions that exports can be linked to, as `ID=CONNECTION_STRING`.
    #[arg(long)]
    subscription: Vec<String>,
    /// Return group states capitalised, as seen in practice against the API description, also of apps that the world
    /// (such as the demo world) has follow it.
    #[arg(long)]
    capital_states: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let world = match &args.world {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            World::parse(&text)?
        }
        None => World::demo()?,
    };
    let mut options = Options {
        port: args.port,
        downloads_port: args.downloads_port,
        tokens: vec![Token::full(&args.token)],
        ..Options::default()
    };
    if args.tick_millis > 0 {
        options.mode = Mode::Auto {
            every: Duration::from_millis(args.tick_millis),
        };
    }
    if args.rate_limit > 0 {
        options.rate_limit = Some((args.rate_limit, Duration::from_secs(300)));
    }
    options.quirks.capital_states = args.capital_states.then_some(true);
    let sim = Sim::start(world, options).await?;
    for text in &args.subscription {
        let (id, place) = text
            .split_once('=')
            .context("a subscription is ID=CONNECTION_STRING")?;
        sim.subscription(id, place);
    }
    say(&format!("appcenter-sim listens on {}", sim.url()));
    tokio::signal::ctrl_c().await?;
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "whoever starts the simulator reads its address here"
)]
fn say(line: &str) {
    println!("{line}");
}
