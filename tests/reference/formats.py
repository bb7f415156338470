"""Small images in every format that an image folder may hold, and the pixels that Pillow reads from them.

    python formats.py        # writes formats/ and formats.json beside itself; Pillow 13.0, NumPy 2.4
"""
import io
import json
import os

import numpy as np
from PIL import Image

here = os.path.dirname(os.path.abspath(__file__))
folder = os.path.join(here, "formats")
os.makedirs(folder, exist_ok=True)

# Smooth, so that the decoders of lossy formats may differ little.
y, x = np.mgrid[0:12, 0:16]
pixels = np.stack([x * 15, y * 20, 255 - x * 7 - y * 10], -1).astype(np.uint8)
rgb = Image.fromarray(pixels)
grey = rgb.convert("L")
alpha = Image.fromarray(np.dstack([pixels, (x * 8 + 100).astype(np.uint8)]))
other = Image.fromarray(255 - pixels)

thumbnail = io.BytesIO()
rgb.resize((8, 6)).save(thumbnail, "JPEG")
exif = Image.Exif()
exif[0x0112] = 6  # turned by 90 degrees
plain_exif = exif.tobytes()


def save(name, image, **options):
    image.save(os.path.join(folder, name), **options)


save("baseline.jpg", rgb, quality=95)
save("progressive.jpg", rgb, quality=95, progressive=True)
save("restarts.jpg", rgb, quality=95, restart_marker_blocks=1)
# A thumbnail with its own start and end in a segment before the image, as cameras put it.
save("turned_with_thumbnail.jpg", rgb, quality=95, exif=plain_exif + thumbnail.getvalue())
save("grey.jfif", grey, quality=95, format="JPEG")
save("cmyk.jpeg", rgb.convert("CMYK"), quality=95)
save("palette.png", rgb.quantize(32))
save("alpha.png", alpha)
save("lossy.webp", rgb, quality=95)
save("lossless.webp", rgb, lossless=True)
save("alpha.webp", alpha, lossless=True, exact=True)
save("animated.webp", rgb, save_all=True, append_images=[other], lossless=True)
save("palette.gif", rgb.quantize(32))
save("animated.gif", rgb.quantize(32), save_all=True, append_images=[other.quantize(32)])
save("rgb.bmp", rgb)
save("palette.bmp", rgb.quantize(32))
save("bits.bmp", grey.convert("1"))
save("plain.tif", rgb)
save("lzw.tiff", rgb, compression="tiff_lzw")
save("deflate.tiff", rgb, compression="tiff_adobe_deflate")
save("packbits.tiff", rgb, compression="packbits")
save("grey.tiff", grey)
save("pages.tiff", rgb, save_all=True, append_images=[other])
save("rgb.ppm", rgb)
save("grey.pgm", grey)
save("bits.pbm", grey.convert("1"))

found = {}
for name in sorted(os.listdir(folder)):
    image = Image.open(os.path.join(folder, name))
    image.seek(0)
    found[name] = np.asarray(image.convert("RGB")).transpose(2, 0, 1).reshape(-1).tolist()
with open(os.path.join(here, "formats.json"), "w") as file:
    lines = ",\n".join(f'"{name}": {json.dumps(values, separators=(",", ":"))}' for name, values in found.items())
    file.write("{\n" + lines + "\n}\n")
