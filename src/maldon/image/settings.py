"""What an operator may say about images."""

from dataclasses import dataclass

from maldon.kernel.settings import option


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """The limits of one image and of one project; -1 means no limit."""

    max_image_bytes: int = option(1 << 40, "Bytes of the largest image that may be uploaded.")
    images_per_project: int = option(1000, "Images one project may have; -1 for no limit.")
    bytes_per_project: int = option(-1, "Bytes that the images of one project may take together; -1 for no limit.")
    stall_s: int = option(60, "Seconds after which an upload that brings nothing is given up.")
    upload_lease_s: int = option(180, "Seconds without a sign of life after which an unfinished upload is undone.")
