"""The corruptions of CIFAR-10-C-bar, five of them also of ImageNet-C-bar, and the sequences of CIFAR-10-P in NumPy, SciPy, scikit-image, Pillow
and OpenCV, for comparisons of time.

Vectorised, which the published scripts of C-bar are not: they loop over pixels in Python and take several
times as long as these. What is equal to the byte is the business of the crate's tests.
"""

import io

N = 32


def c_bar(side=N):
    """The corruptions by name, ten for 32 pixels and five for 224: functions of (RGB bytes, severity from 0)."""
    import numpy as np
    from scipy.ndimage import map_coordinates, rotate
    from skimage.draw import line_aa

    draw, small = np.random, side == 32
    y, x = np.mgrid[:side, :side].astype(float)

    def stored(array):
        return np.clip(array, 0, 255).astype(np.uint8)

    def phase_noise(power):
        half = draw.uniform(0, 2 * np.pi, (side, side // 2))
        phases = np.concatenate([half, half[::-1, ::-1]], axis=1)
        field = np.fft.ifft2(np.roll(power * np.exp(1j * phases), side // 2, axis=(0, 1))).real
        return field / field.std()

    squared = (x - side / 2) ** 2 + (y - side / 2) ** 2

    def blue_noise_sample(image, s):
        level = ([.7, 1.4, 2.1, 3.5, 4.2] if small else [.8, 1.6, 2.4, 4, 5.6])[s]
        return stored(image * (phase_noise(np.sqrt(squared)) > level * .3 - 2.5)[:, :, None])

    def brownish_noise(image, s):
        noise = np.stack([phase_noise(1 / (squared + 1)) for _ in range(3)], axis=2)
        return stored(image + 6.4 * ([2.5, 4, 5.5, 6.5, 7] if small else [1, 2, 3, 4, 5])[s] * noise)

    def checkerboard_cutout(image, s):
        angle, size = draw.uniform(0, 2 * np.pi), max(side * draw.uniform(.1, .25), 1)
        count = int(4 * side / size)
        chosen = draw.uniform(size=(count, count)) < (s + 1 + (not small)) / 10
        across = (np.cos(angle) * y + np.sin(angle) * x) / size
        down = (-np.sin(angle) * y + np.cos(angle) * x) / size
        on = (np.trunc(across % 2) == np.trunc(down % 2)) & chosen[across.astype(int), down.astype(int)]
        return np.where(on[:, :, None], np.uint8(128), image)

    def lines(image, s):
        out = image.copy()
        angle, variation = draw.uniform(0, 2 * np.pi), draw.uniform(.1, 1)
        for _ in range([1, 3, 4, 6, 8][s]):
            u, v, w = draw.uniform(size=3)
            turn = angle + 2 * np.pi * variation * (w - .5)
            dx, dy = N * np.cos(turn), N * np.sin(turn)
            row, column, value = line_aa(int(N * u - dx), int(N * v - dy), int(N * u + dx), int(N * v + dy))
            inside = (row >= 0) & (row < N) & (column >= 0) & (column < N)
            row, column, value = row[inside], column[inside], value[inside][:, None]
            out[row, column] = (1 - value) * out[row, column] + value * 128
        return out

    def rays(cy, cx, lengths, power):
        dy, dx = y - cy, x - cx
        turn = (np.arctan2(dx, dy) + np.pi) / (2 * np.pi) * len(lengths)
        at = turn.astype(int)
        part = turn - at
        length = lengths[at % len(lengths)] * (1 - part) + lengths[(at + 1) % len(lengths)] * part
        return np.clip((1 - (part - .5) ** 2) * (length ** 2 / (dx ** 2 + dy ** 2 + .0001)) ** power, 0, 1)

    def sparkles(image, s):
        levels = [.7, 3.5, 5.6, 6.3, 7] if small else [1, 2, 3, 5, 6]
        radius, out = side * levels[s] / 100, image.astype(np.float32)
        for cy, cx in draw.uniform(0, side, (5, 2)):
            lengths = np.maximum(1, radius + .25 * radius * draw.randn(draw.randint(50, 200)))
            out = out + rays(cy, cx, lengths, 1)[:, :, None] * (255 - out)
        return stored(out)

    def inverse_sparkles(image, s):
        cy, cx = side * draw.uniform(.25, .75, 2)
        lengths = side / 4 * (1 + .25 * draw.randn(draw.randint(50, 200)))
        power = .13 * ([1, 1.5, 2.5, 4.5, 5] if small else [1, 2, 4, 9, 10])[s]
        return stored(255 + rays(cy, cx, lengths, power)[:, :, None] * (image - 255.0))

    def sampled(image, rows, columns):
        return np.stack([map_coordinates(image[:, :, c].astype(float), [rows, columns], order=1) for c in range(3)], 2)

    def ripple(image, s):
        amplitude = [.44, .48, .52, .6, .64][s]
        (wy, wx), (py, px) = N * draw.uniform(.1, .3, 2), draw.uniform(0, 2 * np.pi, 2)
        wave = amplitude * np.sin(2 * np.pi * y / wy + py), amplitude * np.sin(2 * np.pi * x / wx + px)
        return stored(sampled(image, y + wave[0], x + wave[1]))

    def pinch_and_twirl(image, s):
        angle, amount = [5.5, 6, 6.5, 8.5, 10][s] * np.pi / 20, [.32, .34, .36, .44, .5][s]
        out = image.astype(float)
        for cx in (5, 15, 25):
            for cy in (5, 15, 25):
                dy, dx = y - cy, x - cx
                far = np.sqrt(dy ** 2 + dx ** 2) / 5
                inside = (far <= 1) & (far > 0)
                d = np.where(inside, far, 1)
                pull = np.sin(np.pi / 2 * d) ** -amount
                turn = draw.choice([1, -1]) * angle * (1 - d) ** 2
                dy, dx = dy * pull, dx * pull
                rows = np.where(inside, cy + dy * np.cos(turn) - dx * np.sin(turn), y)
                columns = np.where(inside, cx + dy * np.sin(turn) + dx * np.cos(turn), x)
                out = np.where(inside[:, :, None], sampled(out, rows, columns), out)
        return stored(out)

    def transverse_chromatic_abberation(image, s):
        factor = [.05, .1, .25, .45, .5][s]
        scales = np.array([1, 1 + factor / 2, 1 + factor])[draw.permutation(3)]
        out = []
        for channel, scale in enumerate(scales):
            side = int(round(N * scale))
            places = np.arange(side) * ((N - 1) / (side - 1))
            wide = map_coordinates(image[:, :, channel].astype(float), np.meshgrid(places, places, indexing="ij"),
                                   order=3, prefilter=False, mode="mirror")
            trim = (side - N) // 2
            out.append(wide[trim:trim + N, trim:trim + N])
        return stored(np.stack(out, axis=2) + .5)

    def circular_motion_blur(image, s):
        out, total = np.zeros(image.shape, np.float32), 0
        for k in np.linspace(-1, 1, 21):
            weight = np.exp(-2 * k * k)
            out += weight * rotate(image.astype(np.float32), k * 1.5 * [2.8, 3.6, 4.4, 5.2, 6][s], reshape=False)
            total += weight
        return stored(out / total)

    both = [blue_noise_sample, brownish_noise, checkerboard_cutout, inverse_sparkles, sparkles]
    only_small = [circular_motion_blur, lines, pinch_and_twirl, ripple, transverse_chromatic_abberation]
    return {f.__name__: f for f in both + only_small * small}


def pixel_by_pixel(n):
    """The ten of ImageNet-C-bar pixel by pixel, as the published script goes: functions of (RGB bytes, severity from 0)."""
    import numpy as np
    from scipy.fftpack import ifft2
    from scipy.ndimage import gaussian_filter

    draw, pi = np.random, np.pi

    def field(value):
        return np.array([[value(float(x), float(y)) for x in range(n)] for y in range(n)])

    def stored(array):
        return np.clip(array, 0, 255).astype(np.uint8)

    def single_frequency_greyscale(image, s):
        first = draw.uniform(-pi, pi)
        a, b = draw.permutation([first, draw.uniform(-abs(first), abs(first))])
        phase = draw.uniform(0, 2 * pi)
        wave = field(lambda x, y: np.sin(x * a + y * b + phase))
        return stored(image + 19.6 * [1, 1.5, 2, 4.5, 5][s] * wave[:, :, None])

    def cocentric_sine_waves(image, s):
        x0, y0 = draw.uniform(0, n, 2)
        frequency, amplitude, width = draw.uniform(0, 10), *draw.uniform(0, n / 10, 2)

        def ring(x, y):
            bent = np.sqrt((x - x0) ** 2 + (y - y0) ** 2)
            bent += amplitude * np.sin(np.arctan2(x - x0, y - y0) * frequency)
            return bent % width / width - .5
        return stored(image + 12.8 * [3, 5, 8, 9, 10][s] * field(ring)[:, :, None])

    def plasma_noise(image, s):
        time, steps, sharpness = draw.uniform(0, 6 * pi), draw.randint(4, 7), draw.uniform(.5, 1)
        scale, amount = n * draw.uniform(.075, .2), 6.4 * [4.75, 7, 8.5, 9.25, 10][s]

        def swirl(x, y):
            x, y, zoom, delay, damping = x / scale, y / scale, 1, 1, 1
            for _ in range(steps):
                a, b = np.cos(y * zoom + time / delay) / damping, np.sin(x * zoom + time / delay) / damping
                x, y = x + a - .3 * b, y + b + .3 * a
                zoom, delay, damping = 1.93 * zoom, 1.15 * delay, damping * (2.25 - sharpness)
            return [np.sin(x - time), np.sin((x + y + np.sin(time)) / 2), np.sin(y + time)]
        return stored((1 - amount / 255) * image + amount * field(swirl))

    def perlin_noise(image, s):
        vectors = draw.randint(-256, 256, (256, 2)) / 256
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        order, alpha = draw.permutation(256), .05 * [4.6, 5.2, 5.8, 7.6, 8.8][s]

        def noise(x, y):
            column, row = int(x), int(y)
            dx, dy = x - column, y - row
            across, down = dx * dx * (3 - 2 * dx), dy * dy * (3 - 2 * dy)

            def corner(i, j):
                a, b = vectors[order[(order[(column + i) % 256] + row + j) % 256]]
                return (dx - i) * a + (dy - j) * b
            above = corner(0, 0) + across * (corner(1, 0) - corner(0, 0))
            below = corner(0, 1) + across * (corner(1, 1) - corner(0, 1))
            return 1.5 * (above + down * (below - above))
        cloud = field(lambda x, y: sum(abs(noise(k * y / 32, k * x / 32)) / k for k in (1, 2, 4, 8, 16)))
        return stored((1 - alpha) * image + 255 * alpha * np.clip(.5 * cloud + .5, 0, 1)[:, :, None])

    def caustic_refraction(image, s):
        level, time, size = [2.35, 3.2, 4.9, 6.6, 9.15][s], draw.uniform(.5, 2), n * draw.uniform(.75, 1.25)
        lens, light, turn = level * n / 20, level / 5, 2 * pi

        def caustic(x, y):
            p, q = y / size % 1 * turn - 250, x / size % 1 * turn - 250
            a, b, total = p, q, 1.0
            for wave in range(1, 6):
                t = time * (1 - 3.5 / wave)
                a, b = p + np.cos(t - a) + np.sin(t + b), q + np.sin(t - b) + np.cos(t + a)
                total += 1 / np.hypot(p / (np.sin(a + t) / .005), q / (np.cos(b + t) / .005))
            return min(abs(1.17 - (total / 5) ** 1.4) ** 8, 1)
        water = np.pad(gaussian_filter(field(caustic), 1), 1)
        picture = np.pad(image / 255.0, ((1, 1), (1, 1), (0, 0)))
        out = np.empty(image.shape)
        for y in range(n):
            for x in range(n):
                down, right = water[y + 2, x + 1] - water[y, x + 1], water[y + 1, x + 2] - water[y + 1, x]
                normal = np.array([down, right, 1]) / np.sqrt(down * down + right * right + 1)
                bend = np.sqrt(1 - (1 - normal[2] ** 2) / 16) - normal[2] / 4
                dy, dx = normal[:2] * bend * lens * (normal[2] < .999)
                row, column = np.clip(y + dy, -1, n - .001), np.clip(x + dx, -1, n - .001)
                i, j = int(np.floor(row)), int(np.floor(column))
                v, u = row - i, column - j
                four = picture[i + 1:i + 3, j + 1:j + 3]
                mixed = (1 - v) * ((1 - u) * four[0, 0] + u * four[0, 1]) + v * ((1 - u) * four[1, 0] + u * four[1, 1])
                out[y, x] = np.clip(mixed + (down - right) * light, 0, 1)
        return stored(255 * out)

    def phase_noise(power):
        # The script asks for every frequency's amplitude anew for every field.
        amplitude = field(lambda x, y: power(np.linalg.norm(np.array([x, y]) - n / 2)))
        half = draw.uniform(0, 2 * pi, (n, n // 2))
        phases = np.concatenate([half, half[::-1, ::-1]], axis=1)
        made = ifft2(np.roll(amplitude * (np.cos(phases) + 1j * np.sin(phases)), n // 2, axis=(0, 1))).real
        return made / made.std()

    def blue_noise_sample(image, s):
        return image * (phase_noise(lambda far: far) > .3 * [.8, 1.6, 2.4, 4, 5.6][s] - 2.5)[:, :, None]

    def brownish_noise(image, s):
        noise = np.stack([phase_noise(lambda far: 1 / (far ** 2 + 1)) for _ in range(3)], axis=2)
        return stored(image + 6.4 * (s + 1) * noise)

    def checkerboard_cutout(image, s):
        angle, size = draw.uniform(0, 2 * pi), n * draw.uniform(.1, .25)
        grid = draw.uniform(size=(int(4 * n // size),) * 2) < (s + 2) / 10

        def kept(x, y):
            across = (np.cos(angle) * y + np.sin(angle) * x) / size
            down = (-np.sin(angle) * y + np.cos(angle) * x) / size
            return int(across % 2) != int(down % 2) or not grid[int(across), int(down)]
        return np.where(field(kept)[:, :, None], image, np.uint8(128))

    def spark(image, centre, lengths, power, mix):
        rays = len(lengths)

        def pixel(x, y):
            apart = np.array([y, x]) - centre
            turn = (np.arctan2(apart[1], apart[0]) + pi) / (2 * pi) * rays
            ray = int(turn)
            part = turn - ray
            length = lengths[ray % rays] + part * (lengths[(ray + 1) % rays] - lengths[ray % rays])
            reach = (length ** 2 / (np.linalg.norm(apart) ** 2 + 1e-4)) ** power
            return mix(image[int(y), int(x)].astype(np.float32), np.clip((1 - (part - .5) ** 2) * reach, 0, 1))
        return field(pixel)

    def sparkles(image, s):
        radius, white = n * [1, 2, 3, 5, 6][s] / 100, np.array([255, 255, 255])
        for centre in draw.uniform(0, n, (5, 2)):
            lengths = [max(1, radius + .25 * radius * draw.randn()) for _ in range(draw.randint(50, 200))]
            image = spark(image, centre, lengths, 1, lambda value, weight: value + weight * (white - value))
        return stored(image)

    def inverse_sparkles(image, s):
        white = np.array([255, 255, 255])
        lengths = [n / 4 * (1 + .25 * draw.randn()) for _ in range(draw.randint(50, 200))]
        return stored(spark(image, n * draw.uniform(.25, .75, 2), lengths, .13 * [1, 2, 4, 9, 10][s],
                            lambda value, weight: white + weight * (value - white)))

    return {f.__name__: f for f in [blue_noise_sample, brownish_noise, caustic_refraction, checkerboard_cutout,
                                    cocentric_sine_waves, inverse_sparkles, perlin_noise, plasma_noise,
                                    single_frequency_greyscale, sparkles]}


def sequences():
    """The sequences by name (p/...): functions of RGB bytes that give all frames."""
    import cv2
    import numpy as np
    import skimage.color
    import skimage.filters
    from PIL import Image
    from scipy.ndimage import gaussian_filter
    from scipy.ndimage import zoom as ndzoom

    draw = np.random

    def stored(array):
        return (np.clip(array, 0, 1) * 255).astype(np.uint8)

    def noise(frame):
        return lambda image: [image] + [stored(frame(image / 255.0)) for _ in range(30)]

    def affine(matrices):
        def run(image):
            picture = Image.fromarray(image)
            resample = Image.Resampling.BILINEAR
            return [np.asarray(picture.transform((N, N), Image.Transform.AFFINE, m, resample)) for m in matrices]
        return run

    def about(a, b, c, d):
        middle = N / 2
        return a, b, middle - a * middle - b * middle, c, d, middle - c * middle - d * middle

    turns = [np.radians(i - 15) for i in range(31)]
    rotations = [about(np.cos(t), np.sin(t), -np.sin(t), np.cos(t)) for t in turns]
    scales = [about(100 / (70 + 2 * i), 0, 0, 100 / (70 + 2 * i)) for i in range(31)]
    shears = [about(1, np.tan(t), 0, 1) for t in turns]
    shifts = [(1, 0, 7 - i, 0, 1, 0) for i in range(16)]

    def zoom_blur(image):
        frames, total = [image], image.astype(np.float32) / 255
        zooms = affine([about(1 / (1 + .004 * j), 0, 0, 1 / (1 + .004 * j)) for j in range(1, 31)])(image)
        for count, frame in enumerate(zooms, 2):
            total = total + frame.astype(np.float32) / 255
            frames.append(stored(total / count))
        return frames

    def tilt(image):
        frames, far = [], N * 2 ** .5
        plane = np.array([[1, 0, -N / 2], [0, 1, -N / 2], [0, 0, 1], [0, 0, 1]])
        for t in [np.radians(.75 * (i - 15)) for i in range(31)]:
            c, s = np.cos(t), np.sin(t)
            rx = np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1]])
            ry = np.array([[c, 0, -s, 0], [0, 1, 0, 0], [s, 0, c, 0], [0, 0, 0, 1]])
            back = np.eye(4)
            back[2, 3] = far
            view = np.array([[far, 0, N / 2, 0], [0, far, N / 2, 0], [0, 0, 1, 0]])
            frames.append(cv2.warpPerspective(image, view @ back @ rx @ ry @ plane, (N, N)))
        return frames

    def brightness(image):
        frames = []
        for i in range(31):
            x = skimage.color.rgb2hsv(image / 255.0)
            x[:, :, 2] = np.clip(x[:, :, 2] + (i - 15) * 1.5 / 100, 0, 1)
            frames.append(stored(skimage.color.hsv2rgb(x)))
        return frames

    def gaussian_blur(image):
        blur = skimage.filters.gaussian
        return [stored(blur(image / 255.0, sigma=.3 + .015 * i, channel_axis=-1, truncate=7)) for i in range(31)]

    def moved(png, radius, sigma, angle):
        from wand.image import Image as Wand
        with Wand(blob=png) as picture:
            picture.motion_blur(radius=radius, sigma=sigma, angle=angle)
            return cv2.imdecode(np.frombuffer(picture.make_blob(), np.uint8), cv2.IMREAD_COLOR)

    def png(array):
        file = io.BytesIO()
        Image.fromarray(array).save(file, format="PNG")
        return file.getvalue()

    def motion_blur(image):
        blob = png(image)
        return [moved(blob, 6, 1.8, 9 * (i - 20))[:, :, ::-1] for i in range(21)]

    def snow(image):
        layer = draw.normal(size=(N, N), loc=.05, scale=.3)[8:24, 8:24]
        layer = ndzoom(layer, 2, order=1)
        layer[layer < .5] = 0
        blob, frames, x = png(stored(layer)), [], image / 255.0
        light = cv2.cvtColor(x.astype(np.float32), cv2.COLOR_RGB2GRAY)[:, :, None] * 1.5 + .5
        for i in range(31):
            flakes = moved(blob, 10, 2, 4 * i - 150)[:, :, :1] / 255.0
            frames.append(stored(.85 * x + .15 * np.maximum(x, light) + flakes + np.rot90(flakes, 2)))
        return frames

    def spatter(image):
        liquid, frames = gaussian_filter(draw.normal(size=(N, N), loc=.6, scale=.265), 1.75, mode="nearest"), []
        liquid[liquid < .7] = 0
        x = image.astype(np.float32) / 255
        emboss = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
        for _ in range(31):
            layer = (liquid * 255).astype(np.uint8)
            far = cv2.distanceTransform(255 - cv2.Canny(layer, 50, 150), cv2.DIST_L2, 5)
            far = cv2.equalizeHist(cv2.blur(np.minimum(far, 20), (3, 3)).astype(np.uint8))
            mask = layer * cv2.blur(cv2.filter2D(far, cv2.CV_8U, emboss), (3, 3)).astype(np.float32)
            mask = mask / max(mask.max(), 1e-9) * .6
            frames.append(stored(x + mask[:, :, None] * np.array([175, 238, 238]) / 255.0))
            liquid = .2 * liquid + .8 * np.concatenate([np.zeros((1, N)), liquid[:-1]])
        return frames

    table = {
        "gaussian_noise": noise(lambda x: x + draw.normal(size=x.shape, scale=.02)),
        "shot_noise": noise(lambda x: draw.poisson(x * 700) / 700),
        "motion_blur": motion_blur, "zoom_blur": zoom_blur, "snow": snow, "brightness": brightness,
        "translate": affine(shifts), "rotate": affine(rotations), "tilt": tilt, "scale": affine(scales),
        "speckle_noise": noise(lambda x: x + x * draw.normal(size=x.shape, scale=.05)),
        "gaussian_blur": gaussian_blur, "spatter": spatter, "shear": affine(shears),
    }
    return {f"p/{name}": function for name, function in table.items()}
