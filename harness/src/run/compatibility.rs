//! The files of a single evaluation, each read once: what a plan must know of them, and which
//! attacks fit them.

use crate::data::glance;
use crate::error::{Error, Result};
use crate::eval::bounded;
use crate::eval::model_source::{Adaptation, ModelKind, ModelSource};
use crate::nn::checkpoint::Tensors;
use crate::nn::model::ModelHeader;
use crate::progress::announce;
use crate::served::Served;
use rlnet_suites::attack::group;
use rlnet_suites::compatibility::{NetworkFacts, misfit};
use rlnet_suites::fixed_point::FIXED_POINT_VERSION;
use rlnet_suites::{AttackSpec, Branch, CellId, CellSpec, Plan};
use std::collections::BTreeMap;
use std::path::Path;
use tch::Device;

/// A model's file or server, read once.
#[derive(Debug, Clone)]
pub struct ModelFile {
    /// Where it is.
    pub source: ModelSource,
    /// Its identity: the checksum of its bytes, or what its server says in their place.
    pub id: CellId,
    /// What attacks need to know of it.
    pub facts: NetworkFacts,
}

impl ModelFile {
    /// Reads a file, or asks a server. In messages it has this name, or one made from its path.
    ///
    /// # Errors
    /// When it cannot be read or reached, or is a safetensors file of another program.
    pub fn read(source: impl Into<ModelSource>, name: Option<&str>) -> Result<Self> {
        let source = source.into();
        let path = &source.path;
        let bytes = |path| std::fs::read(path).map_err(|error| Error::reading(path, error));
        let mut facts = NetworkFacts {
            name: short_name(path),
            branches: vec![Branch::Single],
            is_editable: false,
            has_gradients: true,
            wraps: false,
            classes: None,
        };
        let mut id = match ModelKind::of(path) {
            ModelKind::Own => {
                let bytes = bytes(path)?;
                let header: ModelHeader = Tensors::header(path, &bytes)?;
                facts.branches = header.norm().branches().to_vec();
                facts.is_editable = true;
                facts.classes = Some(header.record.classes.len());
                identity(&bytes)
            }
            ModelKind::TorchScript | ModelKind::Onnx => identity(&bytes(path)?),
            ModelKind::Served => {
                let served = Served::connect(path, source.patience)?;
                let described = served.description();
                facts.name.clone_from(&described.name);
                facts.has_gradients = described.gradients;
                identity(described.fingerprint.as_bytes())
            }
        };
        if source.adaptation != Adaptation::default() {
            id = identity(format!("{id} {:?}", source.adaptation).as_bytes());
        }
        if let Some(fixed) = source.arithmetic {
            id = identity(format!("{id} {fixed} version {FIXED_POINT_VERSION}").as_bytes());
            facts.name = format!("{}-{}", facts.name, fixed.short_name());
            facts.wraps = true;
        }
        if let Some(name) = name {
            name.clone_into(&mut facts.name);
        }
        Ok(Self { source, id, facts })
    }
}

/// The identity of a model file with these bytes.
pub fn identity(bytes: &[u8]) -> CellId {
    CellId(blake3::hash(bytes).to_hex()[..16].to_owned())
}

/// A short name for a model file: its stem, or its cell for a run's model.
fn short_name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match path.parent().and_then(Path::file_name) {
        Some(cell) if stem == "model" => cell.to_string_lossy().into_owned(),
        _ => stem.into_owned(),
    }
}

/// A model under evaluation, and the surrogates that its attacks may follow.
#[derive(Debug)]
pub struct ModelFiles {
    /// The model.
    pub model: ModelFile,
    /// Surrogates by the names that attacks have for them.
    pub surrogates: BTreeMap<String, ModelFile>,
    /// Side of the images, where it is known.
    pub side: Option<usize>,
}

/// What names a certificate among attacks.
const CERTIFICATE: &str = "certify";

/// Side of images that are not there yet.
const USUAL_SIDE: usize = 32;

impl ModelFiles {
    /// Where every model is, by its identity.
    pub fn sources(&self) -> BTreeMap<CellId, ModelSource> {
        std::iter::once(&self.model)
            .chain(self.surrogates.values())
            .map(|file| (file.id.clone(), file.source.clone()))
            .collect()
    }

    /// The same on a data set: a model that does not say how many classes it knows is taken to know
    /// those of the images.
    #[must_use]
    pub fn on(mut self, dataset: &str, data_dir: &Path) -> Self {
        let seen = glance(dataset, data_dir);
        let classes = &mut self.model.facts.classes;
        *classes = classes.or_else(|| Some(seen?.classes));
        self.side = seen.map(|seen| seen.size);
        self
    }

    /// The attacks of these texts that fit. One that was requested by its own name and does not fit
    /// is refused; a member of a group is left out, with a message.
    ///
    /// # Errors
    /// When a text is no attack, or the attack does not fit the model.
    pub fn attacks(&self, texts: &[String], requested: Option<&[Branch]>) -> Result<Vec<AttackSpec>> {
        let mut fitting = Vec::new();
        for text in texts {
            let members = group(text)?;
            if let Some(certificate) = members.iter().find(|attack| attack.is_certificate()) {
                let why = format!(
                    "--attack {certificate}: it is a certificate, not an attack; write --certify PARAMETERS"
                );
                return Err(Error::Usage(why));
            }
            if let [attack] = members.as_slice()
                && let Some(why) = self.misfit(attack, requested)
            {
                return Err(Error::Usage(format!("--attack {attack}: {why}")));
            }
            fitting.extend(members);
        }
        Ok(self.fitting(fitting, requested))
    }

    /// The certificates of these parameters.
    ///
    /// # Errors
    /// When a text is no list of them, or the model cannot be bounded.
    pub fn certificates(&self, texts: &[String], requested: Option<&[Branch]>) -> Result<Vec<AttackSpec>> {
        let named = |text: &String| match text.as_str() {
            CERTIFICATE => text.clone(),
            text if text.starts_with(CERTIFICATE) => text.to_owned(),
            text => format!("{CERTIFICATE}:{text}"),
        };
        let mut all: Vec<AttackSpec> = Vec::new();
        for text in texts {
            let spec: AttackSpec = named(text).parse()?;
            if let Some(why) = self.misfit(&spec, requested) {
                return Err(Error::Usage(format!("--certify {text}: {why}")));
            }
            if !all.contains(&spec) {
                all.push(spec);
            }
        }
        Ok(all)
    }

    /// Those of some attacks that fit, each once; a message says which do not, and why.
    pub fn fitting(&self, attacks: Vec<AttackSpec>, requested: Option<&[Branch]>) -> Vec<AttackSpec> {
        let (mut fitting, mut seen) = (Vec::new(), Vec::new());
        for attack in attacks {
            // Some attacks have two names.
            if seen.contains(&attack) {
                continue;
            }
            seen.push(attack.clone());
            match self.misfit(&attack, requested) {
                None => fitting.push(attack),
                Some(why) => announce(&format!("{attack} is left out: {why}")),
            }
        }
        fitting
    }

    /// Why an attack does not fit; nothing where it does.
    fn misfit(&self, attack: &AttackSpec, requested: Option<&[Branch]>) -> Option<String> {
        let missing = attack.networks().find(|name| !self.surrogates.contains_key(name));
        if let Some(name) = missing {
            return Some(format!("it needs --surrogate {name}=FILE"));
        }
        let model = &self.model.facts;
        let surrogate = attack
            .surrogate()
            .other()
            .and_then(|name| self.surrogates.get(name));
        let evaluated = requested.unwrap_or(&model.branches);
        if attack.is_certificate() {
            let side = self.side.unwrap_or(USUAL_SIDE) as i64;
            let refused =
                |branch: &Branch| bounded::graph(&self.model.source, *branch, side, Device::Cpu).err();
            return evaluated.first().and_then(refused).map(|error| error.to_string());
        }
        misfit(attack, model, surrogate.map(|file| &file.facts), evaluated)
            .map(|why| format!("model {} {why}", model.name))
    }

    /// Refuses a surrogate that no attack of a plan uses.
    ///
    /// # Errors
    /// With its name.
    pub fn are_used(&self, plan: &Plan) -> Result<()> {
        let used = |name: &String| {
            plan.cells.iter().any(|cell| match &cell.spec {
                CellSpec::Evaluate(spec) => spec.surrogates.contains_key(name),
                CellSpec::Train(_) => false,
            })
        };
        match self.surrogates.keys().find(|name| !used(name)) {
            Some(name) => Err(Error::Usage(format!(
                "--surrogate {name}: no requested attack uses this surrogate; add one that does (--attack \
                 pgd:surrogate={name}), or leave the option out"
            ))),
            None => Ok(()),
        }
    }
}
