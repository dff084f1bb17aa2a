//! The ten forms, as inside-tests on the unit disc, and their placement in an image.

/// A class of the data set: a name and the region it covers.
pub(super) struct Form {
    /// Class name.
    pub name: &'static str,
    /// Whether (u, v) is inside; every form lies within radius 1.
    inside: fn(f64, f64) -> bool,
}

/// The classes in label order.
pub(super) static FORMS: [Form; 10] = [
    Form {
        name: "disc",
        inside: |u, v| u * u + v * v < 0.72,
    },
    Form {
        name: "ring",
        inside: |u, v| (0.3..1.0).contains(&(u * u + v * v)),
    },
    Form {
        name: "square",
        inside: |u, v| u.abs() < 0.7 && v.abs() < 0.7,
    },
    Form {
        name: "triangle",
        inside: |u, v| v < 0.5 && 1.732 * u.abs() - v < 1.0,
    },
    Form {
        name: "cross",
        inside: |u, v| u.abs().min(v.abs()) < 0.26 && u.abs().max(v.abs()) < 0.95,
    },
    Form {
        name: "star",
        inside: star,
    },
    Form {
        name: "crescent",
        inside: |u, v| u * u + v * v < 1.0 && (u - 0.5) * (u - 0.5) + v * v > 0.6,
    },
    Form {
        name: "bars",
        inside: |u, v| u.abs() < 0.7 && v.abs() < 0.7 && (v.abs() < 0.17 || v.abs() > 0.42),
    },
    Form {
        name: "ell",
        inside: |u, v| u.abs() < 0.7 && v.abs() < 0.7 && (u < -0.2 || v > 0.2),
    },
    Form {
        name: "half-disc",
        inside: |u, v| u * u + (v + 0.4) * (v + 0.4) < 0.84 && v > -0.4,
    },
];

/// A star of five points: the polar radius falls linearly from tip to notch.
fn star(u: f64, v: f64) -> bool {
    let r2 = u * u + v * v;
    // The tips reach 1, the notches 0.42: outside and inside that no angle is needed.
    let (notch, tip) = (0.42 * 0.42, 1.0);
    if !(notch..tip).contains(&r2) {
        return r2 < notch;
    }
    let turn = (v.atan2(u) / std::f64::consts::TAU * 5.0).rem_euclid(1.0);
    let towards_tip = 2.0 * (turn - 0.5).abs();
    // A power above one hollows the flanks, as straight edges do.
    r2.sqrt() < 0.42 + 0.58 * towards_tip.powf(1.5)
}

/// A form at a place, size and turn of an image.
pub(super) struct Placed {
    form: &'static Form,
    x: f64,
    y: f64,
    radius: f64,
    cos: f64,
    sin: f64,
}

impl Placed {
    /// Centre and radius in pixels, turn in radians.
    pub(super) fn new(form: &'static Form, x: f64, y: f64, radius: f64, turn: f64) -> Self {
        Self {
            form,
            x,
            y,
            radius,
            cos: turn.cos() / radius,
            sin: turn.sin() / radius,
        }
    }

    /// Whether the point, in pixels, is inside.
    pub(super) fn contains(&self, x: f64, y: f64) -> bool {
        let (dx, dy) = (x - self.x, y - self.y);
        (self.form.inside)(dx * self.cos + dy * self.sin, dy * self.cos - dx * self.sin)
    }

    /// False only where the pixel at column `x`, row `y` is surely not covered.
    pub(super) fn may_touch(&self, x: f64, y: f64) -> bool {
        let (dx, dy) = (x + 0.5 - self.x, y + 0.5 - self.y);
        let reach = self.radius + 0.8;
        dx * dx + dy * dy < reach * reach
    }
}
