//! Which model a command scores with: a file, or the one that ships in the program.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use processors::spam::{Counts, MAX_FILE_BYTES, MODEL_NAME, Model};

#[derive(Debug, Clone, Args)]
pub struct Choice {
    /// A model that `train` wrote [default: the one that ships in the program]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
}

impl Choice {
    pub fn load(&self) -> anyhow::Result<Arc<Model>> {
        match &self.model {
            None => Ok(Model::starter()),
            Some(path) => {
                let counts = read_counts(path)?;
                let event = counts.to_event(MODEL_NAME, 0, 0);
                Ok(Arc::new(Model::new(&event).with_context(|| path.display().to_string())?))
            }
        }
    }
}

pub fn read_counts(path: &Path) -> anyhow::Result<Counts> {
    let name = || format!("the model {}", path.display());
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)).with_context(name)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        bail!("{} is larger than any model", path.display());
    }
    Counts::from_file(&bytes).with_context(name)
}
