//! The deployment's accent colour. It is adjusted so that text in it and on it has the contrast of WCAG 2.2
//! AA (4.5 : 1).

use std::fmt::Write;

/// `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accent([u8; 3]);

impl Accent {
    /// The default.
    pub const DEFAULT: Self = Self([0x1d, 0x4e, 0xd8]);

    /// Six hexadecimal digits after `#`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
        let channel = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(Self([channel(0)?, channel(2)?, channel(4)?]))
    }

    /// The custom properties of `style.css` that depend on it. The colour is made darker for light pages and
    /// lighter for dark ones, only as far as the contrast needs.
    #[must_use]
    pub fn properties(self) -> String {
        let (light, dark) = (self.legible(BLACK, DARKEST_OF_LIGHT), self.legible(WHITE, LIGHTEST_OF_DARK));
        let mut css = String::new();
        for (open, accent, towards, on, close) in
            [(":root{", light, BLACK, WHITE, "}"), ("@media(prefers-color-scheme:dark){:root{", dark, WHITE, INK, "}}")]
        {
            let hover = accent.mixed(towards, 10);
            let _ = writeln!(css, "{open}--accent:{accent};--accent-hover:{hover};--on-accent:{on}{close}");
        }
        css
    }

    fn legible(self, towards: Self, on: Self) -> Self {
        (0..=STEPS).map(|step| self.mixed(towards, step)).find(|it| it.contrast(on) >= 4.5).unwrap_or(towards)
    }

    /// `step` of [`STEPS`] steps from here to `other`.
    fn mixed(self, other: Self, step: u16) -> Self {
        let mix = |from: u8, to: u8| {
            let mixed = (u16::from(from) * (STEPS - step) + u16::from(to) * step) / STEPS;
            u8::try_from(mixed).unwrap_or(u8::MAX)
        };
        let ([r, g, b], [red, green, blue]) = (self.0, other.0);
        Self([mix(r, red), mix(g, green), mix(b, blue)])
    }

    /// WCAG 2.2, "contrast ratio".
    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// WCAG 2.2, "relative luminance".
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let share = f64::from(channel) / 255.0;
            if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

impl std::fmt::Display for Accent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

const STEPS: u16 = 64;
const BLACK: Accent = Accent([0; 3]);
const WHITE: Accent = Accent([0xff; 3]);
/// The dark text on a light button, where the page is dark.
const INK: Accent = Accent([0x0b, 0x0f, 0x17]);
/// The darkest surface of `style.css` in light mode, and the lightest in dark mode.
const DARKEST_OF_LIGHT: Accent = Accent([0xea, 0xed, 0xf1]);
const LIGHTEST_OF_DARK: Accent = Accent([0x2a, 0x31, 0x3b]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::layout::STYLE;

    #[test]
    fn colour_is_six_hex_digits() {
        for (text, good) in [
            ("#1d4ed8", true),
            ("#FFCC00", true),
            ("1d4ed8", false),
            ("#1d4ed", false),
            ("#1d4ed88", false),
            ("#+1+2+3", false),
            ("#1d4e}*", false),
            ("red", false),
            ("", false),
        ] {
            assert_eq!(Accent::parse(text).is_some(), good, "{text}");
        }
    }

    /// WCAG 2.2 §1.4.3 and §1.4.11, for any colour and on every surface that the stylesheet has.
    #[test]
    fn text_in_and_on_the_accent_colour_is_legible() {
        let (light, dark) = STYLE.split_once("@media (prefers-color-scheme: dark)").unwrap();
        let dark = dark.split_once("}\n}").unwrap().0;
        let surfaces = |css: &str| -> Vec<Accent> {
            let names = ["--ground", "--card", "--hover", "--notice", "--warning", "--error", "--success"];
            let value = |name: &str| css.split_once(&format!("{name}: ")).unwrap().1.get(..7).unwrap();
            names.map(|name| Accent::parse(value(name)).unwrap()).to_vec()
        };
        let (light, dark) = (surfaces(light), surfaces(dark));
        for text in ["#1d4ed8", "#ffcc00", "#ffffff", "#000000", "#808080", "#00ff88", "#ff0000", "#7a3cff"] {
            let css = Accent::parse(text).unwrap().properties();
            let colours: Vec<_> = css.split([':', ';', '}']).filter_map(Accent::parse).collect();
            let [accent, hover, on, accent_dark, hover_dark, on_dark] = colours[..] else { panic!("{css}") };
            for (accent, hover, on, surfaces) in
                [(accent, hover, on, &light), (accent_dark, hover_dark, on_dark, &dark)]
            {
                for (over, under) in surfaces.iter().map(|it| (accent, *it)).chain([(on, accent), (on, hover)]) {
                    assert!(over.contrast(under) >= 4.5, "{text}: {over} on {under}");
                }
            }
        }
        assert!((BLACK.contrast(WHITE) - 21.0).abs() < 0.001);
        // Both have enough contrast and are not changed.
        assert!(Accent::DEFAULT.properties().contains("--accent:#1d4ed8;"));
    }
}
