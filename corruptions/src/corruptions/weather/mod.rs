//! Weather: something between the camera and the scene.

pub(super) mod brightness;
pub(super) mod fog;
pub(super) mod frost;
pub(super) mod snow;
pub(super) mod spatter;
