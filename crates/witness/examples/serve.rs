//! Runs a witness without the product: `serve DIRECTORY ADDRESS NAME LOG_KEY...` until it is interrupted.
//! Makes key and database if the directory is new, and prints the new key.

#![expect(clippy::print_stdout, reason = "an example prints what it got")]

use std::error::Error;
use std::path::PathBuf;

use tlog::VerifierKey;
use tokio::net::TcpListener;
use witness::server::{Log, Logs, Now};
use witness::{Settings, create, serve};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(directory), Some(address), Some(name)) = (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: serve DIRECTORY ADDRESS NAME LOG_KEY...".into());
    };
    let keys = arguments.map(|key| key.parse()).collect::<Result<Vec<VerifierKey>, _>>()?;
    let logs = keys.into_iter().map(|key| Log { origin: key.name().to_owned(), keys: vec![key] });
    let directory = PathBuf::from(directory);
    let (database, key_file) = (directory.join("witness.db"), directory.join("witness.key"));
    if !directory.try_exists()? {
        std::fs::create_dir_all(&directory)?;
        println!("{}", create(&database, &key_file, &name)?);
    }
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let settings = Settings {
        listener,
        connections: 64,
        database,
        key_file,
        logs: Logs::new(logs)?,
        now: Now::system(),
    };
    let interrupted = async { drop(tokio::signal::ctrl_c().await) };
    Ok(serve(settings, interrupted).await?)
}
