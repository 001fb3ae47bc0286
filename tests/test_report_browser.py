"""The report in a real browser: no network, no error, everything by keyboard, on paper too."""

import base64
import shutil
from pathlib import Path

import pytest

from aitom_cryosam import CryoSAM, Settings, Tomogram
from aitom_cryosam.record import Record
from aitom_cryosam.report.files import write_report
from aitom_cryosam.volumes.mrc import write_volume
from tests.toys import small_simulation

pytestmark = pytest.mark.browser

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--window-size=1240,1600", "--proxy-server=127.0.0.1:9",
)  # fmt: skip
NAME = "<script>document.title='broken'"


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> tuple[Path, Record]:
    folder = tmp_path_factory.mktemp("report")
    simulation = small_simulation()
    write_volume(folder / f"{NAME}.mrc", simulation.data, voxel_size=20.0)
    picker = CryoSAM(Settings(preset="embedded", top_k=40, diameter_angstrom=250.0))
    result = picker.pick(Tomogram.open(folder / f"{NAME}.mrc"), simulation.points_zyx[1:3, ::-1])
    result.write(folder / "out")
    record = Record.open(folder / "out")
    return write_report(folder / "report.html", [record])[0], record


@pytest.fixture
def browser(report, tmp_path):
    """A fresh browser without a way to the network, which shows the report."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    driver.set_page_load_timeout(60)
    driver.get(report[0].as_uri())
    yield driver
    driver.quit()


def test_it_loads_without_network_or_error_and_shows_every_picture(browser, report):
    assert browser.get_log("browser") == []
    assert browser.title == f"{NAME}: {len(report[1].picks)} picks"
    assert browser.find_element("tag name", "h1").text == NAME
    broken = browser.execute_script(
        "return [...document.images].filter(one => one.src && !one.naturalWidth).length"
    )
    assert broken == 0
    wide = browser.execute_script("return document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0


def test_the_slider_moves_the_picks_by_keyboard(browser, report):
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    slider = browser.find_element("id", "cut")
    count = browser.find_element("id", "count")
    circles = "#maps figure:first-of-type circle.pick"
    before = int(count.text)
    assert before == len(report[1].picks) == len(browser.find_elements("css selector", circles))
    slider.send_keys(keys.HOME)
    assert int(count.text) == 0
    slider.send_keys(keys.ARROW_RIGHT)
    assert int(count.text) >= 1  # clicks have all the same score
    typed = browser.find_element("id", "typed")
    assert f"--top {count.text} " in typed.text
    slider.send_keys(keys.END)
    everything = int(count.text)
    assert everything > before
    assert everything == len(browser.find_elements("css selector", circles))
    browser.find_element("id", "reset").send_keys(keys.ENTER)
    assert int(count.text) == before
    assert not typed.is_displayed()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1240])
def test_it_fits_a_phone_and_a_dark_room(browser, width, scheme):
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 1000}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    wanted = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
    assert browser.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]["width"] <= width
    ink, back = (
        browser.execute_script(
            f"return getComputedStyle(document.body).{what}.match(/\\d+/g).map(Number)"
        )
        for what in ("color", "backgroundColor")
    )
    assert (sum(ink) < sum(back)) == (scheme == "light")


def test_the_gallery_works_by_keyboard(browser):
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    tiles = browser.find_elements("css selector", ".tiles figure")
    tiles[0].send_keys(keys.ARROW_RIGHT)
    focused = browser.switch_to.active_element
    assert focused == tiles[1]
    focused.send_keys(keys.ENTER)
    dialog = browser.find_element("id", "enlarged")
    assert dialog.is_displayed()
    text = dialog.find_element("tag name", "p")
    assert text.text == tiles[1].get_attribute("data-about")
    browser.switch_to.active_element.send_keys(keys.ARROW_RIGHT)
    assert text.text == tiles[2].get_attribute("data-about")
    browser.switch_to.active_element.send_keys(keys.ESCAPE)
    assert not dialog.is_displayed()
    assert browser.switch_to.active_element == tiles[2]


def test_it_prints_to_pdf(browser):
    pdf = base64.b64decode(browser.print_page())
    assert pdf.startswith(b"%PDF")
    assert len(pdf) > 20_000


def test_it_can_be_read_without_javascript(report, tmp_path):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    content = {"profile.managed_default_content_settings.javascript": 2}
    options.add_experimental_option("prefs", content)
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        driver.get(report[0].as_uri())
        assert not driver.find_element("class name", "slider").is_displayed()
        assert len(driver.find_elements("css selector", ".tiles img")) > 10
        assert driver.find_element("id", "story").is_displayed()
    finally:
        driver.quit()
