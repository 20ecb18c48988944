//! Builds the peers with Go's own tool into a cache folder outside the checkout, at pinned versions. They are used as
//! programs only, never linked: Mailpit and Inbucket are under the MIT licence.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::dialect::Kind;

struct Peer {
    program: &'static str,
    package: &'static str,
    version: &'static str,
}

const MAILPIT: Peer = Peer { program: "mailpit", package: "github.com/axllent/mailpit", version: "v1.27.11" };
const INBUCKET: Peer =
    Peer { program: "inbucket", package: "github.com/inbucket/inbucket/v3/cmd/inbucket", version: "v3.1.1" };

/// Name and version, for the report.
pub fn version(kind: Kind) -> Option<&'static str> {
    peer(kind).map(|peer| peer.version)
}

/// The peer's program, built when the cache doesn't have it.
pub fn program(kind: Kind, cache: Option<&Path>) -> Result<PathBuf> {
    let peer = peer(kind).context("not a peer that is built here")?;
    let folder = cache_folder(cache)?.join(format!("{}-{}", peer.program, peer.version));
    let program = folder.join(peer.program);
    if !program.exists() {
        eprintln!("building {} {} (once, into {})", peer.program, peer.version, folder.display());
        build(peer, &folder)?;
    }
    Ok(program)
}

fn peer(kind: Kind) -> Option<&'static Peer> {
    match kind {
        Kind::Mailpit => Some(&MAILPIT),
        Kind::Inbucket => Some(&INBUCKET),
        Kind::Postlog | Kind::Sink => None,
    }
}

fn cache_folder(cache: Option<&Path>) -> Result<PathBuf> {
    if let Some(cache) = cache {
        return Ok(std::path::absolute(cache)?);
    }
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    Ok(base.context("neither XDG_CACHE_HOME nor HOME is set: name a folder with --cache")?.join("postlog-load-tests"))
}

/// A module of its own that has the program as a tool: Go then takes the version from go.mod, and asks for no list of
/// versions, which a proxy may not have.
fn build(peer: &Peer, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    if !folder.join("go.mod").exists() {
        go(folder, &["mod", "init", "peers.invalid/build"])?;
    }
    go(folder, &["get", "-tool", &format!("{}@{}", peer.package, peer.version)])?;
    go(folder, &["install", peer.package])
}

fn go(folder: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("go");
    command.args(arguments).current_dir(folder).env("GOBIN", folder).env("CGO_ENABLED", "0").env("GOWORK", "off");
    let status = command.status().context("running go, which builds the peers")?;
    if !status.success() {
        bail!("go {} failed in {}: {status}", arguments.join(" "), folder.display());
    }
    Ok(())
}
