//! A mask as a file of its own: safetensors, one `u8` tensor a ReLU layer, 1 kept, 0 dropped.
//!
//! A layer's tensor is `[C, H, W]`, or `[C]` when its channels are kept or dropped as wholes,
//! and is named as the layer (`layer1.0.a`). The header carries architecture, input size and
//! counts. Files of other programs, without our header, are read too: any number type that
//! holds only 0 and 1, layers by name or by their number.

use super::mask::ReluMask;
use super::network::Network;
use crate::error::{Error, Problem, Result};
use crate::files::write_atomic;
use rlnet_suites::LayerRecord;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// The header's key in the safetensors metadata.
const HEADER: &str = "rlnet";

/// What a mask file says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaskHeader {
    /// `mask`, to tell it from a model.
    pub kind: String,
    /// Architecture it was made for.
    pub arch: String,
    /// Side of the input in pixels.
    pub image_size: u64,
    /// `unit` or `channel`.
    pub granularity: String,
    /// ReLUs kept in all.
    pub kept: u64,
    /// ReLUs of the all-ReLU network.
    pub total: u64,
    /// Layers in execution order.
    pub layers: Vec<LayerRecord>,
}

/// Writes a network's mask, atomically.
///
/// # Errors
/// When the disk refuses.
pub fn save(path: &Path, network: &Network) -> Result<MaskHeader> {
    let mask = network.mask();
    let channels = mask.is_channel_wise(&network.layer_shapes());
    let layers = mask.records(network.layers());
    let header = MaskHeader {
        kind: "mask".into(),
        arch: network.spec().arch.to_string(),
        image_size: network.spec().image_size,
        granularity: if channels { "channel" } else { "unit" }.into(),
        kept: layers.iter().map(|layer| layer.kept).sum(),
        total: layers.iter().map(LayerRecord::total).sum(),
        layers,
    };
    let failed = |why: String| Error::Internal(format!("writing {}: {why}", path.display()));
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = header
        .layers
        .iter()
        .zip(mask.layers())
        .map(|(layer, units)| {
            let [c, h, w] = layer.shape.map(|side| side as usize);
            if channels {
                let firsts = units.iter().step_by((h * w).max(1)).copied().collect();
                (layer.name.clone(), vec![c], firsts)
            } else {
                (layer.name.clone(), vec![c, h, w], units.clone())
            }
        })
        .collect();
    let views = tensors
        .iter()
        .map(|(name, shape, units)| Ok((name, TensorView::new(Dtype::U8, shape.clone(), units)?)))
        .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| failed(error.to_string()))?;
    let text = serde_json::to_string(&header).map_err(|error| failed(error.to_string()))?;
    let metadata = HashMap::from([(HEADER.to_owned(), text)]);
    let bytes = serialize(views, Some(metadata)).map_err(|error| failed(error.to_string()))?;
    write_atomic(path, &bytes)?;
    Ok(header)
}

/// Refuses a file whose blake3 checksum is not the one `expected` (hexadecimal, any case).
///
/// # Errors
/// When it cannot be read, or is another file.
pub fn verify(path: &Path, expected: &str) -> Result<()> {
    let bytes = std::fs::read(path).map_err(|error| Error::reading(path, error))?;
    let found = blake3::hash(&bytes).to_hex();
    if found.as_str().eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let why = format!("its blake3 checksum is {found}, the suite asks for {expected}");
    Err(Error::reading(path, why))
}

/// Reads a mask for a network.
///
/// # Errors
/// When the file is damaged, or its layers are not the network's.
pub fn load(path: &Path, network: &Network) -> Result<ReluMask> {
    let bytes = std::fs::read(path).map_err(|error| Error::reading(path, error))?;
    let broken = |why: String| Error::reading(path, why);
    let tensors = SafeTensors::deserialize(&bytes)
        .map_err(|error| broken(format!("{error}; it is not a safetensors file, or cut short")))?;
    if let Ok((_, metadata)) = SafeTensors::read_metadata(&bytes)
        && let Some(text) = metadata.metadata().as_ref().and_then(|map| map.get(HEADER))
    {
        let header: MaskHeader = serde_json::from_str(text).map_err(|_| {
            let why = "it is another kind of file of this program, not a mask; `rlnet export MODEL --format mask` \
                       makes one";
            broken(why.into())
        })?;
        let spec = network.spec();
        if header.arch != spec.arch.name() || header.image_size != spec.image_size {
            return Err(broken(format!(
                "the mask is for {} at {} pixels, the model is {} at {}",
                header.arch, header.image_size, spec.arch, spec.image_size
            )));
        }
    }
    let count = network.layers().len();
    if tensors.len() != count {
        let why = format!(
            "it has {} layers, {} has {count}",
            tensors.len(),
            network.spec().arch
        );
        return Err(broken(why));
    }
    let layer = |(number, layer): (usize, &LayerRecord)| {
        let names = [layer.name.clone(), format!("{number:03}"), number.to_string()];
        let view = names
            .iter()
            .find_map(|name| tensors.tensor(name).ok())
            .ok_or_else(|| broken(format!("it has no layer `{}` (nor `{number}`)", layer.name)))?;
        let bits = bits(&view).map_err(|why| broken(format!("layer `{}` {why}", layer.name)))?;
        let [c, h, w] = layer.shape.map(|side| side as usize);
        if bits.len() == c * h * w {
            Ok(bits)
        } else if bits.len() == c {
            Ok(bits
                .into_iter()
                .flat_map(|bit| std::iter::repeat_n(bit, h * w))
                .collect())
        } else {
            let shape = view.shape();
            Err(broken(format!(
                "layer `{}` is {shape:?}, the network needs [{c}, {h}, {w}], or [{c}] for whole channels",
                layer.name
            )))
        }
    };
    let layers = network.layers().iter().enumerate().map(layer);
    Ok(ReluMask::from_layers(layers.collect::<Result<_>>()?))
}

/// A tensor of any number type that holds only 0 and 1.
fn bits(view: &TensorView<'_>) -> std::result::Result<Vec<u8>, Problem> {
    let data = view.data();
    let one: &[u8] = match view.dtype() {
        Dtype::U8 | Dtype::I8 | Dtype::BOOL => &[1],
        Dtype::I32 => &[1, 0, 0, 0],
        Dtype::I64 => &[1, 0, 0, 0, 0, 0, 0, 0],
        Dtype::F32 => &[0, 0, 0x80, 0x3f],
        Dtype::F64 => &[0, 0, 0, 0, 0, 0, 0xf0, 0x3f],
        other => return Err(format!("is {other:?}; write it as u8").into()),
    };
    data.chunks_exact(one.len())
        .map(|item| {
            if item == one {
                Ok(1)
            } else if item.iter().all(|&byte| byte == 0) {
                Ok(0)
            } else {
                Err("holds something else than 0 and 1".into())
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{NetworkSpec, Quirks};
    use rlnet_suites::NormBanks;
    use tch::Device;

    fn network(arch: &str) -> Network {
        let spec = NetworkSpec {
            arch: arch.parse().expect("known"),
            image_size: 16,
            classes: 4,
            norm: NormBanks::Single,
            quirks: Quirks::default(),
            mean: [0.0; 3],
            std: [1.0; 3],
        };
        Network::new(spec, 0, Device::Cpu)
    }

    #[test]
    fn masks_come_back_by_unit_and_by_channel_and_carry_their_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut net = network("resnet8-w4");
        let (sizes, shapes) = (net.layer_sizes(), net.layer_shapes());
        let keep: Vec<u64> = sizes.iter().map(|n| n / 3).collect();
        let by_unit = ReluMask::random(&sizes, &keep, 1);
        let by_channel = ReluMask::random_channels(&shapes, &keep, 1);
        for (mask, granularity) in [(by_unit, "unit"), (by_channel, "channel")] {
            net.set_mask(mask.clone()).expect("its layers");
            let path = folder.path().join(granularity);
            let header = save(&path, &net).expect("saved");
            assert_eq!(header.granularity, granularity);
            assert_eq!(header.kept, mask.kept().iter().sum::<u64>());
            assert_eq!(load(&path, &network("resnet8-w4")).expect("loaded"), mask);
            let error = load(&path, &network("resnet8-w8")).expect_err("another network");
            assert!(error.to_string().contains("resnet8-w4"), "{error}");
        }
        let unit = std::fs::metadata(folder.path().join("unit"))
            .expect("a file")
            .len();
        let channel = std::fs::metadata(folder.path().join("channel"))
            .expect("a file")
            .len();
        assert!(channel < unit);
    }

    #[test]
    fn foreign_files_are_read_and_damaged_ones_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let net = network("resnet8-w4");
        let path = folder.path().join("foreign");
        let write = |value: f32, layers: usize| {
            let layer = |size: &u64| {
                vec![value; *size as usize]
                    .iter()
                    .flat_map(|v| v.to_le_bytes())
                    .collect()
            };
            let data: Vec<Vec<u8>> = net.layer_sizes().iter().take(layers).map(layer).collect();
            let views = data.iter().enumerate().map(|(number, data)| {
                let view = TensorView::new(Dtype::F32, vec![data.len() / 4], data).expect("a view");
                (number.to_string(), view)
            });
            std::fs::write(&path, serialize(views, None).expect("bytes")).expect("written");
        };
        let count = net.layers().len();
        write(1.0, count);
        assert_eq!(
            load(&path, &net).expect("ones"),
            ReluMask::full(&net.layer_sizes())
        );
        write(0.5, count);
        assert!(
            load(&path, &net)
                .expect_err("halves")
                .to_string()
                .contains("0 and 1")
        );
        write(1.0, count - 1);
        assert!(
            load(&path, &net)
                .expect_err("short")
                .to_string()
                .contains("layers")
        );
        std::fs::write(&path, b"not a mask").expect("written");
        assert!(load(&path, &net).is_err());
    }
}
