"""How near, how well ranked, how sure: functions on arrays, which know nothing of releases or attacks.

Data. Arrays of numbers come in, with the patient of each row where chance is counted; numbers, or small frozen classes
with an estimate and its bounds, go out. Nothing is read or written, and nothing is drawn but from the caller's
generator.

Import what you need by its module:
- `image_quality`: `psnr`, `ssim`, `ms_ssim`, `rmse` and mean errors of two pictures. `histograms`: joint histogram, R².
- `ranking`: AUC, its draws and its chance by patient, true positives at few false ones, top-k, MAP@R.
- `inference`: bootstrap and sign flips by patient, many tests at once (Holm), worse by no more than a margin.
- `agreement`: intraclass correlation with its interval. `overlap`: Dice and distances of outlines.
- `radiomics/`: the 93 texture and intensity features of a masked picture.

What holds:
- PSNR and SSIM are never given without their data range: the caller states it.
- Chance is counted by patient: two images of one patient are never taken for independent.
- numpy is enough for what `share` measures; scipy is imported where a statistic needs it.
- tests/metrics holds them against other implementations, or against values worked out by hand.

To add a metric: a function in the module of its family, with ranges, units and source in its docstring, and a test
against something that did not come from this code.
"""
